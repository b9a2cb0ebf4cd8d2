"""The words fit what the images are of, and a page without pictures holds none."""

import re

import pytest

from reports import html
from reports.domain import telling_class
from tests.reports.sections.test_images import RIGHT, entry, known
from tests.reports.test_html import PAIR, THUMBNAIL, content, render

GALLERY = [
    {"path": f"{label}/{part}.jpg", "label": label, "part": part, "picture": THUMBNAIL}
    for label in ("b", "a")
    for part in ("test", "train")
]
OF_PATIENTS = re.compile("patient|clinic|lesion|skin|diagnos|disease", re.IGNORECASE)


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        (["Monkeypox", "Others"], "Monkeypox"),
        (["Macular", "Pustular"], "Macular"),
        (["akiec", "bcc", "nv"], "akiec"),
        (["COVID-19", "Normal"], "COVID-19"),
        (["02_MEL", "Other"], "02_MEL"),
        (["daisy", "tulip"], ""),
        (["stewart", "melon", "caramel", "navy"], ""),
    ],
)
def test_a_class_that_sounds_medical_tells_the_domain(classes: list[str], name: str) -> None:
    assert telling_class(classes) == name


def test_no_patient_is_spoken_of_where_there_is_none_unless_it_is_asked_for() -> None:
    flowers = {"classes": ["daisy", "tulip"], "data_name": "flowers"}
    explained = known(entry(), entry(**RIGHT))
    pairs = {name: [PAIR] for name in ("crossing", "joined", "listed")}
    text = render(**flowers, explained=explained, pairs=pairs).text
    before, reason, after = text.partition("No name of a class sounds medical")
    assert reason
    assert not OF_PATIENTS.search(before)
    assert "give --domain medical : nothing here may be used to diagnose anybody" in after
    asked = render(**flowers, domain="medical").text
    assert "all images of one patient" in asked
    assert "This is not a medical device." in asked
    assert "as --domain says" in asked


def test_medical_words_say_which_class_told_them() -> None:
    text = render().text
    assert "since a class is called “Monkeypox”. If that is wrong, give --domain general ." in text
    assert not OF_PATIENTS.search(render(domain="general").text.partition("Limits")[0])


def test_a_page_says_at_its_head_how_many_images_of_the_data_it_shows() -> None:
    pairs = {"joined": [PAIR], "gallery": GALLERY}
    page = render(pairs=pairs, explained=known(entry()))
    count = "This page shows 9 images of the data. With --no-pictures it shows none."
    assert count in page.text
    assert page.text.index(count) < page.text.index("In short Which of")
    assert "of the data. With" not in render().text


def test_some_images_of_each_class_stand_in_the_order_of_the_parts() -> None:
    page = render(pairs={"gallery": GALLERY}, figures={})
    shown = [str(found["alt"]) for tag, found in page.tags if tag == "img"]
    parts = ("Image train.jpg, part Train", "Image test.jpg, part Test")
    assert shown == [*parts, *parts]
    assert "Some images of each class a Train Test b Train Test" in page.text
    assert "Some images" not in render().text


def test_without_pictures_no_page_holds_an_image_of_the_data() -> None:
    pairs = {"crossing": [PAIR], "listed": [PAIR], "gallery": GALLERY}
    given = content(pairs=pairs, explained=known(entry(), entry(**RIGHT)), pictures=False)
    for text in (html.render_report(given), html.render_audit(given)):
        assert "data:image/jpeg" not in text
        assert 'class="thumb' not in text
        assert "M01_01.jpg" in text, "what the pairs are is still said"
    assert "left out, as asked by --no-pictures" in html.render_report(given)
