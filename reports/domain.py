"""Choose the words of a report by what the images are of: patients, or anything else.

The domain is guessed from the names of the classes where it is not said. A guess is told to the
reader with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Domain = Literal["medical", "general"]

STEMS = (
    *(
        "pox",
        "melanom",
        "nevus",
        "nevi",
        "naev",
        "carcinom",
        "keratos",
        "lesion",
        "tumor",
        "tumour",
    ),
    *("cancer", "benign", "malignan", "covid", "pneumon", "tubercul", "fractur", "retinopath"),
    *("glaucom", "cataract", "polyp", "ulcer", "eczema", "psoria", "dermat", "macul", "pustul"),
    *("papul", "vitilig", "adenom", "lymphom", "gliom", "meningiom", "metasta", "effusion"),
    *("cardiomegal", "edema", "nodul", "lupus", "measles", "scabies", "herpes", "diabet"),
    *("leukemi", "leukaemi", "fibrosis", "atelecta", "emphysem", "hernia", "patient"),
)
"""What names of diseases and findings hold."""
CODES = frozenset(
    ["acne", "wart", "warts", "rash", "cyst", "akiec", "bcc", "bkl", "mel", "nv", "scc", "vasc"]
)
"""Whole words that are names of them, those of HAM10000 among them."""


class ReportSettings(BaseModel):
    """Say in which words a report speaks, and what it may show."""

    model_config = ConfigDict(frozen=True)

    domain: Domain | None = Field(
        default=None,
        description="words of the report: medical (patients, clinics) or general; none: guessed "
        "from the names of the classes",
    )
    no_pictures: bool = Field(
        default=False, description="leave every image of the data out of the pages"
    )


@dataclass(frozen=True)
class Words:
    """Hold what is said otherwise from domain to domain."""

    group: str
    """What belongs together, as an example."""
    beings: str
    """Of whom new images will be."""
    thing: str
    """What an image shows."""
    elsewhere: str
    """What may be unlike the images that were tested on."""


WORDS: dict[Domain, Words] = {
    "medical": Words(
        "all images of one patient",
        "patients",
        "lesion",
        "other cameras, clinics, skin types or diseases",
    ),
    "general": Words(
        "all images of one object or place",
        "groups",
        "object",
        "other cameras, places or times of year",
    ),
}


def telling_class(classes: Sequence[str]) -> str:
    """Give the first class whose name sounds medical, empty where none does."""
    return next((name for name in classes if _sounds_medical(name.casefold())), "")


def _sounds_medical(name: str) -> bool:
    words = re.findall(r"[^\W\d_]+", name)
    return any(stem in name for stem in STEMS) or not CODES.isdisjoint(words)


def domain_of(asked: Domain | None, classes: Sequence[str]) -> Domain:
    """Give the domain that was asked for, else the one that the classes tell."""
    return asked or ("medical" if telling_class(classes) else "general")


def reason(asked: Domain | None, classes: Sequence[str]) -> str:
    """Say why a report speaks in these words."""
    domain = domain_of(asked, classes)
    if asked:
        return f"This page speaks of {domain} images, as --domain says."
    if domain == "medical":
        return (
            f"This page speaks of medical images, since a class is called "
            f"“{telling_class(classes)}”. If that is wrong, give --domain general."
        )
    return (
        "No name of a class sounds medical, so this page speaks of images in general. If they are "
        "of patients, give --domain medical: nothing here may be used to diagnose anybody."
    )
