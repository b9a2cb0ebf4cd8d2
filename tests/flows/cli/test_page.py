"""The page to try a model: who may ask, what is refused in words, and how it looks in a browser."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, sync_playwright

from flows import predict
from flows.cli import page as command_of_page
from flows.cli import run as command
from flows.cli import terminal
from flows.cli.flags import PageFlags, PredictFlags
from flows.serving import page
from flows.serving.page import Answer, page_app
from reports.try_page import TryContent, render_try_page
from resnext.contracts.errors import InputError
from resnext.inference.model import load_model
from tests.conftest import REPOSITORY
from tests.reports.test_browser import STICKING_OUT
from tests.reports.test_html import EVIL
from tests.resnext.data.samples import picture, save
from tests.resnext.inference.test_export import RULE, model_of

CHROMIUM = shutil.which("chromium")
PNG = {"Content-Type": "image/png"}
LOGIN = "doctor:long-enough"


def answering(data: bytes, explain: bool) -> Answer:
    """Answer without a model: what is no picture is refused, and b"fail" is a fault of ours."""
    if data == b"no picture":
        raise InputError("image", "be one that can be used", "not an image, but text")
    if data == b"fail":
        raise RuntimeError("at /a/secret/place")
    shown = "data:," if explain else None
    return Answer(answer="a", probabilities={"a": 0.75, "b": 0.25}, note="", thumbnail=shown)


def ask(app: FastAPI, method: str, path: str, **more: Any) -> httpx.Response:
    """Send a request to an app that listens nowhere."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=where) as client:
            return await client.request(method, path, **more)

    where = more.pop("where", "http://127.0.0.1:8000")
    return asyncio.run(send())


@pytest.fixture
def app() -> FastAPI:
    return page_app(answering, "<p>the page", "127.0.0.1")


# ---------------------------------------------------------------- pictures


def test_a_picture_is_answered_and_shown_only_if_that_is_asked_for(app: FastAPI) -> None:
    for kind in ("image/png", "image/x-unheard-of", "application/octet-stream"):
        said = ask(app, "POST", "/predict", content=b"x", headers={"Content-Type": kind})
        assert said.status_code == 200
        assert said.json() == {
            "answer": "a", "probabilities": {"a": 0.75, "b": 0.25}, "note": "",
            "refer": False, "possible": [], "unlike_training": None,
            "thumbnail": None, "heat_map": None,
        }  # fmt: skip
    said = ask(app, "POST", "/predict?explain=true", content=b"x", headers=PNG)
    assert said.json()["thumbnail"] == "data:,"


@pytest.mark.parametrize(
    ("status", "sent", "kind", "query", "words"),
    [
        (422, b"no picture", "image/png", "", "The picture can't be used: not an image, but text."),
        (422, b"x", "image/png", "?explain=perhaps", "The request can't be read: explain."),
        (415, b"x", "text/html", "", "must be image/... or application/octet-stream, got text/htm"),
        (500, b"fail", "image/png", "", "The program failed (RuntimeError). Its terminal says"),
    ],
)  # fmt: skip
def test_what_can_not_be_answered_gets_a_sentence(
    app: FastAPI, status: int, sent: bytes, kind: str, query: str, words: str
) -> None:
    said = ask(app, "POST", f"/predict{query}", content=sent, headers={"Content-Type": kind})
    assert said.status_code == status
    assert words in said.json()["detail"]
    assert list(said.json()) == ["detail"]


def test_a_picture_that_is_too_large_is_refused_whatever_it_says_of_its_size(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(11):
            sent.append(100)
            yield b"x" * 100

    sent: list[int] = []
    monkeypatch.setattr(page, "MOST_BYTES", 500)
    exact = ask(app, "POST", "/predict", content=b"x" * 500, headers=PNG)
    assert exact.status_code == 200
    for content in (b"x" * 501, parts()):  # the second one with no length
        said = ask(app, "POST", "/predict", content=content, headers=PNG)
        assert said.status_code == 413
        assert "Make it smaller." in said.json()["detail"]
    assert len(sent) == 6, "the rest is not waited for"


def test_a_picture_that_never_arrives_gives_its_place_back(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(60)

    monkeypatch.setattr(page, "SECONDS_TO_SEND", 0.05)
    for _ in range(page.MOST_AT_ONCE + 1):
        said = ask(app, "POST", "/predict", content=stuck(), headers=PNG)
        assert said.status_code == 408


def test_pictures_are_answered_one_after_the_other_and_too_many_are_sent_back() -> None:
    at_once, most = 0, 0

    def slow(_data: bytes, _explain: bool) -> Answer:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.05)
        at_once -= 1
        return Answer(answer="a", probabilities={"a": 1.0}, note="")

    async def send_all() -> list[httpx.Response]:
        transport = httpx.ASGITransport(page_app(slow, "", "127.0.0.1"))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            send = partial(client.post, "/predict", content=b"x", headers=PNG)
            return await asyncio.gather(*(send() for _ in range(page.MOST_AT_ONCE + 3)))

    found = asyncio.run(send_all())
    assert sorted(each.status_code for each in found) == [200] * page.MOST_AT_ONCE + [503] * 3
    assert {each.headers.get("Retry-After") for each in found if each.is_error} == {"2"}
    assert most == 1


def test_the_description_names_the_body_the_answer_and_every_refusal(app: FastAPI) -> None:
    found = ask(app, "GET", "/openapi.json").json()["paths"]
    assert list(found) == ["/predict"]
    post = found["/predict"]["post"]
    assert set(post["requestBody"]["content"]) == {"image/*", "application/octet-stream"}
    assert set(post["responses"]) == {"200", "403", "408", "413", "415", "422", "503"}
    assert [ask(app, "GET", path).status_code for path in ("/docs", "/redoc")] == [404, 404]


# ---------------------------------------------------------------- who may ask


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:8000", 200),
        ("http://127.0.0.1:8001", 403),
        ("http://localhost:8000", 403),
        ("https://evil.example", 403),
        ("http://127.0.0.1:8000.evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_another_page_that_is_open_in_the_browser_may_not_ask(
    app: FastAPI, origin: str | None, status: int
) -> None:
    headers = PNG if origin is None else PNG | {"Origin": origin}
    assert ask(app, "POST", "/predict", content=b"x", headers=headers).status_code == status
    assert "access-control-allow-origin" not in ask(app, "GET", "/", headers=headers).headers


@pytest.mark.parametrize("path", ["/", "/predict", "/openapi.json"])
def test_a_name_that_leads_to_this_machine_is_refused_on_loopback(app: FastAPI, path: str) -> None:
    for name in ("127.0.0.1:8000", "localhost:9000", "[::1]:8000"):
        assert ask(app, "GET", path, headers={"Host": name}).status_code != 400
    for name in ("evil.example:8000", "127.0.0.1.evil.example", ""):
        assert ask(app, "GET", path, headers={"Host": name}).status_code == 400


def test_without_the_password_nothing_is_shown_or_answered() -> None:
    app = page_app(answering, "<p>the page", "0.0.0.0", LOGIN)
    other = "http://ward.example:8000"
    for login in (None, ("doctor", "long-enougH"), ("doctor", ""), ("", "long-enough")):
        for method, path in (("GET", "/"), ("POST", "/predict"), ("GET", "/openapi.json")):
            said = ask(app, method, path, auth=login, where=other)
            assert said.status_code == 401
            assert said.headers["www-authenticate"].startswith("Basic ")
            assert "the page" not in said.text
    right = {"auth": tuple(LOGIN.split(":")), "where": other}
    assert ask(app, "GET", "/", **right).text == "<p>the page"
    assert ask(app, "POST", "/predict", content=b"x", headers=PNG, **right).status_code == 200
    foreign = PNG | {"Origin": "http://evil.example"}
    assert ask(app, "POST", "/predict", content=b"x", headers=foreign, **right).status_code == 403


def test_no_other_page_may_frame_or_keep_it(app: FastAPI) -> None:
    for said in (ask(app, "GET", "/"), ask(app, "POST", "/predict"), ask(app, "GET", "/x")):
        assert said.headers["content-security-policy"] == "frame-ancestors 'none'"
        assert said.headers["cache-control"] == "no-store"
        assert said.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("words", "login", "complaint"),
    [
        (["--page", "x.png"], None, "--page must go without IMAGE_OR_FOLDER, got"),
        (["--port", "8000"], None, "--port must go with --page, got it alone."),
        (["--host", "0.0.0.0"], None, "--host must go with --page, got it alone."),
        (["--page", "--top", "3"], None, "--top must go without --page"),
        (["--page", "--output", "a.csv"], None, "--output must go without --page"),
        (["--page", "--port", "70000"], None, "--port must be less than or equal to 65535"),
        (["--page", "--host", "0.0.0.0"], None, "--host must be 127.0.0.1, or come with a passwo"),
        (["--page", "--host", "::"], None, "--host must be 127.0.0.1, or come with a password"),
        (["--page", "--host", "a.example"], None, "--host must be 127.0.0.1, or come with a pass"),
        (["--page"], "nonsense", "PAGE_LOGIN must be user:password, with a password of 8 charac"),
        (["--page"], "doctor:short", "PAGE_LOGIN must be user:password, with a password of 8"),
        (["--page", "--host", "192.0.2.1"], LOGIN, "--host must be an address that can be listen"),
    ],
)
def test_what_can_not_be_served_is_wrong_input(
    words: list[str],
    login: str | None,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terminal, "show_only_our_lines", lambda: None)
    if login is not None:
        monkeypatch.setenv(command_of_page.LOGIN, login)
    assert command.run_command(predict.main, name="predict.py", arguments=words) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert login is None or login not in said


def test_a_port_in_use_is_said_before_a_model_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "show_only_our_lines", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        asked = PageFlags(page=True, port=taken.getsockname()[1])
        with pytest.raises(InputError, match="port must be free"):
            command_of_page.serve_page([], PredictFlags(store=tmp_path), asked)


# ---------------------------------------------------------------- the program


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with its calibration, and pictures."""
    root = tmp_path_factory.mktemp("page")
    model_of(root, "resnext38_32x4d", side=128)
    (root / "calibration.json").write_text(json.dumps(RULE))
    save(root / "a.png", picture(90, 60, seed=1))
    (root / "b.png").write_text("no picture at all")
    return root


@pytest.mark.slow
def test_the_program_answers_as_the_library_does_keeps_nothing_and_ends_by_ctrl_c(
    folder: Path, tmp_path: Path
) -> None:
    words = ["--page", "--port", "0", "--model", str(folder / "model.safetensors")]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "flows/predict.py", *words, "--store", str(tmp_path / "s")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY,
        env=os.environ | {"PREFECT_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        where, _, rest = first.partition(" ")
        assert rest == "answers pictures until Ctrl-C\n"
        picture = (folder / "a.png").read_bytes()
        with httpx.Client(base_url=where, timeout=60) as client:
            found = client.post("predict?explain=true", content=picture, headers=PNG).json()
            bad = client.post("predict", content=(folder / "b.png").read_bytes(), headers=PNG)
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.strip() == "Stopped. No picture was kept."
    assert err.splitlines() == [
        f"{'':10}model: a file; classes a, b, ç; resnext38_32x4d at 128 px; "
        f"{folder / 'model.safetensors'}"
    ]
    expected = load_model(folder / "model.safetensors", "cpu").predict(folder / "a.png")
    assert found["answer"] == expected.name
    assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    assert found["thumbnail"].startswith("data:image/jpeg;base64,")
    assert found["heat_map"].startswith("data:image/jpeg;base64,")
    assert bad.status_code == 422
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# ---------------------------------------------------------------- in a browser

CLASSES_SHOWN = ("a", "b", EVIL)


def content(**facts: Any) -> TryContent:
    given: dict[str, Any] = {
        "facts": {"Model": f"run {EVIL * 3}", "Balanced accuracy": "61.0 %"},
        "classes": CLASSES_SHOWN, "calibration": RULE | {"fitted_on": "val"},
        "heat_maps": True, "most_bytes": 1000,
    }  # fmt: skip
    return TryContent(**given | facts)


def shown(data: bytes, explain: bool) -> Answer:
    """Answer as a model would whose classes are hostile names."""
    assert explain
    if data == b"bad":
        raise InputError("image", "be one that can be used", f"not an image, but {EVIL}")
    names = [*CLASSES_SHOWN, *(f"class {number} of a long name" for number in range(20))]
    shares = {name: 0.5 / 2**place for place, name in enumerate(names)}
    pixel = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
    return Answer(
        answer=EVIL, probabilities=shares,
        note=f"unlike the training images; {EVIL} counts from 12.5 % on",
        thumbnail=pixel, heat_map=pixel,
    )  # fmt: skip


@contextmanager
def served(html: str) -> Iterator[str]:
    """Serve a page in a thread, and give its address."""
    with page.listen("127.0.0.1", 0) as listening:
        app = page_app(shown, html, "127.0.0.1")
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield page.address_of(listening, "127.0.0.1")
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield found
        found.close()


@contextmanager
def opened(browser: Browser, where: str, width: int, scheme: Any) -> Iterator[Page]:
    """Open the page; afterwards, check that it did nothing that it should not."""
    seen = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    seen.on("console", lambda message: said.append(message.text))
    seen.on("pageerror", lambda error: said.append(str(error)))
    seen.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    seen.on("request", lambda request: asked.append(request.url))
    seen.goto(where)
    yield seen
    assert [text for text in said if "status of 422" not in text] == []
    assert {url for url in asked if not url.startswith("data:")} == {
        where, f"{where}predict?explain=true",
    }  # fmt: skip
    assert seen.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.evaluate(STICKING_OUT) == []
    seen.close()


def files(**contents: bytes) -> list[dict[str, Any]]:
    return [
        {"name": f"{name}.png", "mimeType": "image/png", "buffer": data}
        for name, data in contents.items()
    ]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
def test_pictures_get_class_bars_and_heat_map_and_nothing_leaves_the_page(
    browser: Browser, width: int, scheme: str
) -> None:
    with (
        served(render_try_page(content())) as where,
        opened(browser, where, width, scheme) as seen,
    ):
        chosen: Any = files(good=b"x", bad=b"bad", large=b"x" * 1001)
        seen.set_input_files("#files", chosen)
        seen.locator("#status", has_text="Done.").wait_for()
        good, bad, large = seen.locator(".try").all()
        assert good.locator(".answer").inner_text() == EVIL
        assert good.locator(".odd").inner_text() == "unlike the training images"
        assert good.locator(".note").inner_text() == f"{EVIL} counts from 12.5 % on"
        assert [each.get_attribute("alt") for each in good.locator("img").all()] == [
            "Picture", "Heat map",
        ]  # fmt: skip
        bars = good.locator(".share:visible").all_inner_texts()
        assert [" ".join(text.split()) for text in bars[:3]] == [
            f"{' '.join(EVIL.split())} 12.5 %", "a 50.0 %", "b 25.0 %",
        ]  # fmt: skip
        assert len(bars) == 6
        good.get_by_text("17 more classes").click()
        assert good.locator(".share:visible").count() == 23
        assert bad.locator(".answer").inner_text() == (
            f"The picture can't be used: not an image, but {EVIL}."
        )
        assert large.locator(".answer").inner_text() == "The picture is larger than 0.001 MB."
        text = seen.inner_text("main")
        for words in ("No diagnosis.", "pictures of another kind", "61.0 %", "temperature 2.50"):
            assert words in text


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
def test_pictures_can_be_dropped_anywhere(browser: Browser) -> None:
    drop = """(names) => {
        const data = new DataTransfer();
        names.forEach((name) => data.items.add(new File(["x"], name, {type: "image/png"})));
        const given = {dataTransfer: data, bubbles: true, cancelable: true};
        document.body.dispatchEvent(new DragEvent("dragover", given));
        const over = document.body.className;
        document.body.dispatchEvent(new DragEvent("drop", given));
        return over;
    }"""
    with (
        served(render_try_page(content(heat_maps=False))) as where,
        opened(browser, where, 1100, "light") as seen,
    ):
        assert seen.evaluate(drop, ["one.png", "two.png"]) == "over"
        seen.locator("#status", has_text="Done.").wait_for()
        assert seen.locator(".try .path").all_inner_texts() == ["one.png", "two.png"]
        assert "This model has no heat maps" in seen.inner_text("main")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
def test_another_script_does_not_run_and_another_place_is_not_asked(browser: Browser) -> None:
    html = render_try_page(content()).replace("</main>", f"</main>{EVIL}")
    with served(html) as where:
        seen = browser.new_page()
        said: list[str] = []
        seen.on("console", lambda message: said.append(message.text))
        seen.goto(where)
        with pytest.raises(Exception, match="Failed to fetch"):
            seen.evaluate("fetch('http://127.0.0.1:1/')")
        assert len(said) >= 2
        assert all("Content Security Policy" in text or "CSP" in text for text in said), said
        seen.close()
