"""Draw the demonstration set: synthetic photographs of skin with lesions of two kinds.

`Pustular` lesions are raised, pale-centred bumps with a sharp dark ring, in clusters; `Macular`
ones are flat, irregular, blotchy patches. Both redden the skin about as much, so that the mean
colour does not tell them apart. A patient keeps one skin, one background and one growth of hair:
copies and photographs of a patient resemble each other, and a random split leaks, as with real
photographs. The images are drawn, show nobody, and say nothing about real skin.

The names are those of the Monkeypox Skin Lesion Dataset v1, `P01_01_00.jpg`: patient, photograph,
copy; 00 is the photograph, the others are augmented copies. As real folders do, the set holds one
photograph under two patients and one file that was cut short. Equal settings and an equal Pillow
give equal bytes.

Source: drawn from scratch with NumPy and Pillow; nothing is taken from a photograph.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from pydantic import BaseModel, ConfigDict, Field, field_validator

from resnext.contracts.errors import InputError

Plane: TypeAlias = npt.NDArray[np.float64]  # (H, W) or (H, W, 3), colours 0..1
Rng: TypeAlias = np.random.Generator

CLASSES = {"Macular": "M", "Pustular": "P"}  # class folder: letter of its patients
LIGHT_SKIN = np.array([0.93, 0.78, 0.69])
DARK_SKIN = np.array([0.36, 0.24, 0.18])
RED = np.array([0.10, 0.62, 0.55])  # share of red, green and blue light that a full redness takes
PALE = np.array([0.97, 0.92, 0.76])
MIDDLE = np.array([0.5, 0.5])
JPEG_QUALITY = 90


class DemoSettings(BaseModel):
    """Say how large the demonstration set is."""

    model_config = ConfigDict(frozen=True)

    patients: int = Field(
        default=160, ge=8, le=198, description="patients in both classes together, 8 to 198"
    )
    photographs: tuple[int, int] = Field(
        default=(2, 3), description="fewest and most photographs a patient, each 1 to 9"
    )
    copies: int = Field(default=1, ge=0, le=20, description="augmented copies a photograph")
    size: int = Field(default=128, ge=32, le=1024, description="width and height in pixels")
    seed: int = Field(default=0, ge=0, description="seed of everything drawn, from 0")

    @field_validator("photographs")
    @classmethod
    def _photographs_are_a_range(cls, photographs: tuple[int, int]) -> tuple[int, int]:
        few, many = photographs
        if not 1 <= few <= many <= 9:
            raise InputError(
                "photographs",
                "be a range within 1 to 9",
                f"{few} to {many}",
                "Give for example 2 and 3.",
            )
        return photographs


class _Patient(NamedTuple):
    """Hold what all photographs of one patient share."""

    skin: Plane  # (3,)
    backdrop: Plane  # (3,)
    has_backdrop: bool
    hairs: int
    hair: tuple[int, int, int]
    moles: int
    tan: float  # how strongly the skin is mottled


def draw(folder: Path, settings: DemoSettings, *, workers: int = 1) -> None:
    """Draw the set into a folder, one folder a class; nothing else is touched.

    `workers` threads draw; NumPy and Pillow let them run side by side. Their number changes
    nothing, since each patient has a random stream of its own.
    """
    names = list(CLASSES)
    patients = [(names[n % len(names)], n // len(names) + 1) for n in range(settings.patients)]
    with ThreadPoolExecutor(max(1, workers)) as threads:
        list(threads.map(partial(_draw_patient, folder, settings), patients))
    _add_faults(folder)


def _draw_patient(root: Path, settings: DemoSettings, class_and_number: tuple[str, int]) -> None:
    """Draw all photographs and copies of one patient, by a random stream of the patient's own."""
    name, number = class_and_number
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([settings.seed, ord(CLASSES[name]), number])
    patient = _make_patient(rng)
    few, many = settings.photographs
    for photograph in range(1, int(rng.integers(few, many + 1)) + 1):
        image = _photograph(patient, name, settings.size, rng)
        stem = f"{CLASSES[name]}{number:02d}_{photograph:02d}"
        image.save(folder / f"{stem}_00.jpg", quality=JPEG_QUALITY)
        for copy in range(1, settings.copies + 1):
            changed = _augmented(image, rng)
            changed.save(folder / f"{stem}_{copy:02d}.jpg", quality=JPEG_QUALITY)


def _add_faults(folder: Path) -> None:
    """File a photograph under a second patient too, and add one whose second half is missing."""
    data = (folder / "Pustular" / "P02_01_00.jpg").read_bytes()
    (folder / "Pustular" / "P03_10_00.jpg").write_bytes(data)
    with Image.open(folder / "Macular" / "M01_01_00.jpg") as image:
        buffer = io.BytesIO()
        image.rotate(180).save(buffer, "JPEG", quality=JPEG_QUALITY)
    cut = buffer.getvalue()[: len(buffer.getvalue()) // 2]
    (folder / "Macular" / "M01_10_00.jpg").write_bytes(cut)


# ---------------------------------------------------------------- skin


def _make_patient(rng: Rng) -> _Patient:
    """Choose skin, backdrop and hair of a patient."""
    tone = rng.beta(1.2, 1.2)
    skin = LIGHT_SKIN * (1 - tone) + DARK_SKIN * tone
    grey = int(rng.integers(15, 70))
    return _Patient(
        skin=np.clip(skin * rng.normal(1, 0.03, 3), 0, 1),
        backdrop=rng.uniform(0.15, 0.85) * rng.uniform(0.75, 1.15, 3),
        has_backdrop=bool(rng.random() < 0.5),
        hairs=int(rng.integers(0, 35)) if rng.random() < 0.6 else 0,
        hair=(grey + 10, grey, max(grey - 8, 0)),
        moles=int(rng.integers(0, 5)),
        tan=float(rng.uniform(0.03, 0.10)),
    )


def _photograph(patient: _Patient, name: str, size: int, rng: Rng) -> Image.Image:
    """Draw one photograph of a patient at twice the size and bring it down, as a lens would."""
    side = 2 * size
    coarse, middle, fine = (_smooth(side, cells, rng) for cells in (3, 9, 40))
    mottling = 0.6 * coarse + 0.3 * middle + 0.25 * fine  # (H, W)
    skin = patient.skin * (1 + patient.tan * mottling[..., None])  # (H, W, 3)
    skin = _moles(skin, patient.moles, rng)
    skin = _pustules(skin, rng) if name == "Pustular" else _macules(skin, rng)
    flush = rng.uniform(0, 0.22) * np.clip(_smooth(side, 2, rng), 0, 1.5)
    skin = _redden(skin, flush)  # a wide soft area, in both classes
    skin = skin * (1 + 0.025 * rng.standard_normal((side, side, 1)))  # pores
    skin = _backdrop(skin, patient, rng)
    image = _hairs(_image(skin * _light(side, rng)[..., None]), patient, rng)
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 0.9)) * size / 128))
    noise = rng.normal(0, rng.uniform(0.005, 0.02), (size, size, 3))
    return _image(np.asarray(image, dtype=np.float64) / 255 + noise)


def _image(colours: Plane) -> Image.Image:
    """Turn colours (H, W, 3), 0..1, into an image."""
    return Image.fromarray((np.clip(colours, 0, 1) * 255 + 0.5).astype(np.uint8))


def _smooth(side: int, cells: int, rng: Rng) -> Plane:
    """Return smooth noise (H, W) of about `cells` hills a side, mean 0, standard deviation 1."""
    coarse = rng.standard_normal((cells + 2, cells + 2)).astype(np.float32)
    fine = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    values = np.asarray(fine, dtype=np.float64)
    return np.asarray((values - values.mean()) / (values.std() + 1e-9))


@cache
def _grid(side: int) -> Plane:
    """Return y and x of every pixel (2, H, W), 0..1; read-only, since it is shared."""
    grid = np.asarray(np.mgrid[0:side, 0:side] / side)
    grid.flags.writeable = False
    return grid


def _around(side: int, centre: Plane, reach: float) -> tuple[tuple[slice, slice], Plane]:
    """Return the rows and columns within reach of a centre (x, y), all 0..1, and their grid."""
    low = np.maximum((centre - reach) * side, 0).astype(int)
    high = ((centre + reach) * side).astype(int) + 1
    window = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
    return window, _grid(side)[:, *window]


def _light(side: int, rng: Rng) -> Plane:
    """Return the light on every pixel (H, W): a slope, a dark rim, and now and then a shadow."""
    y, x = _grid(side)
    slope = _toward(_grid(side), MIDDLE, rng.uniform(0, 2 * np.pi))
    rim = (x - 0.5) ** 2 + (y - 0.5) ** 2
    light = rng.uniform(0.85, 1.1) + rng.uniform(0, 0.4) * slope - rng.uniform(0, 0.4) * rim
    if rng.random() < 0.3:
        edge = slope + 0.05 * _smooth(side, 3, rng) - rng.uniform(0.1, 0.3)
        light = light * (1 - rng.uniform(0.2, 0.4) / (1 + np.exp(-edge * 40)))
    return np.asarray(light)


def _backdrop(skin: Plane, patient: _Patient, rng: Rng) -> Plane:
    """Let a patient's wall or cloth show behind an edge of the body."""
    if not patient.has_backdrop:
        return skin
    side = skin.shape[0]
    slope = _toward(_grid(side), MIDDLE, rng.uniform(0, 2 * np.pi))
    edge = slope + 0.015 * _smooth(side, 3, rng)
    share = 1 / (1 + np.exp(-(edge - rng.uniform(0.33, 0.5)) * 120))  # (H, W)
    cloth = patient.backdrop * (1 + 0.06 * _smooth(side, 60, rng)[..., None])
    return np.asarray(skin * (1 - share[..., None]) + cloth * share[..., None])


def _hairs(image: Image.Image, patient: _Patient, rng: Rng) -> Image.Image:
    """Draw hairs as thin bent lines of about one direction."""
    side = image.width
    pen = ImageDraw.Draw(image)
    flow = rng.uniform(0, 2 * np.pi)
    for _ in range(patient.hairs):
        angle = flow + rng.normal(0, 0.35)
        bend = rng.normal(0, 0.5)
        start = rng.uniform(0, side, 2)
        steps = np.linspace(0, rng.uniform(0.1, 0.3) * side, 8)
        turns = angle + bend * steps / (0.3 * side)
        points = start + steps[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        pen.line(
            [(float(px), float(py)) for px, py in points],
            fill=patient.hair,
            width=int(rng.integers(1, 3)),
        )
    return image


def _moles(skin: Plane, count: int, rng: Rng) -> Plane:
    """Add moles: small, brown, flat and round, in both classes."""
    for _ in range(count):
        centre = rng.uniform(0.05, 0.95, 2)
        window, grid = _around(skin.shape[0], centre, 0.06)
        away = _distance(grid, centre, 0.1, rng)
        share = rng.uniform(0.4, 0.8) / (1 + np.exp((away - rng.uniform(0.01, 0.025)) * 400))
        skin[window] *= 1 - share[..., None] * (1 - np.array([0.45, 0.32, 0.28]))
    return skin


# ---------------------------------------------------------------- lesions


def _distance(grid: Plane, centre: Plane, bumpiness: float, rng: Rng) -> Plane:
    """Return the distance (H, W) of a grid (2, H, W) from a centre (x, y), bent out of round."""
    dx, dy = grid[1] - centre[0], grid[0] - centre[1]
    angle = np.arctan2(dy, dx)
    wobble = 1 + bumpiness * sum(
        rng.normal(0, 1 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5)
    )
    stretch = rng.uniform(0.85, 1.15)
    return np.asarray(np.hypot(dx * stretch, dy / stretch) * wobble)


def _redden(skin: Plane, redness: Plane) -> Plane:
    """Take green and blue light away where the redness (H, W) is above 0."""
    return np.asarray(skin * (1 - np.clip(redness, 0, 1)[..., None] * RED))


def _clusters(count: int, spread: float, apart: float, rng: Rng) -> Iterator[Plane]:
    """Yield up to `count` centres (2,) around one or two places, none closer than `apart`."""
    places = rng.uniform(0.3, 0.7, (int(rng.integers(1, 3)), 2))
    taken: list[Plane] = []
    for _ in range(6 * count):
        centre = places[rng.integers(len(places))] + rng.normal(0, spread, 2)
        far = all(np.hypot(*(centre - other)) >= apart for other in taken)
        if far and centre.min() > 0.04 and centre.max() < 0.96 and len(taken) < count:
            taken.append(centre)
            yield centre


def _pustules(skin: Plane, rng: Rng) -> Plane:
    """Add a cluster of raised, pale-centred, ringed bumps; some photographs show faint ones."""
    radius = rng.uniform(0.045, 0.085)
    light = rng.uniform(0, 2 * np.pi)
    ripe = rng.uniform(0.35, 1.0)
    centres = _clusters(int(rng.integers(3, 11)), rng.uniform(0.12, 0.22), 2.3 * radius, rng)
    for centre in centres:
        window, grid = _around(skin.shape[0], centre, 5.5 * radius)
        size = radius * rng.uniform(0.7, 1.25)
        skin[window] = _pustule(skin[window], grid, centre, size, light, ripe, rng)
    return skin


def _pustule(
    skin: Plane, grid: Plane, centre: Plane, radius: float, light: float, ripe: float, rng: Rng
) -> Plane:
    """Add one bump: a halo, a dark ring, a dome lit from one side, a pale centre."""
    away = _distance(grid, centre, 0.09, rng) / radius  # (H, W), 1 at the ring
    halo = rng.uniform(0.2, 0.5) * np.exp(-((away / 2.0) ** 2))
    ring = ripe * rng.uniform(0.4, 0.8) * np.exp(-(((away - 1) / rng.uniform(0.18, 0.35)) ** 2))
    skin = _redden(skin, halo + ring) * (1 - 0.25 * ring[..., None])
    skin = skin * (1 + 0.3 * (_toward(grid, centre, light) / radius * (away < 1))[..., None])
    edge = rng.uniform(0.4, 0.7)
    pale = ripe * rng.uniform(0.35, 0.8) / (1 + np.exp((away - edge) * 12))
    shade = 0.35 + 0.65 * skin.max(axis=2, keepdims=True)  # pus in the shade is no lamp
    return np.asarray(skin * (1 - pale[..., None]) + PALE * shade * pale[..., None])


def _toward(grid: Plane, centre: Plane, light: float) -> Plane:
    """Return how far a pixel lies (H, W) from the centre towards the light."""
    return np.asarray((grid[1] - centre[0]) * np.cos(light) + (grid[0] - centre[1]) * np.sin(light))


def _macules(skin: Plane, rng: Rng) -> Plane:
    """Add flat blotches with frayed soft edges; some have a paler middle, some a few dots."""
    side = skin.shape[0]
    redness = np.zeros((side, side))
    size = rng.uniform(0.07, 0.14)
    for centre in _clusters(int(rng.integers(2, 9)), rng.uniform(0.12, 0.25), 1.2 * size, rng):
        redness = np.maximum(redness, _macule(side, centre, size * rng.uniform(0.5, 1.4), rng))
    skin = _redden(skin, redness) * (1 - 0.18 * redness[..., None])
    return _papules(skin, rng) if rng.random() < 0.35 else skin


def _macule(side: int, centre: Plane, radius: float, rng: Rng) -> Plane:
    """Return the redness (H, W) of one blotch."""
    away = _distance(_grid(side), centre, rng.uniform(0.05, 0.35), rng) / radius
    away = away + 0.18 * _smooth(side, 14, rng) + 0.1 * _smooth(side, 40, rng)
    patch = rng.uniform(0.35, 0.85) / (1 + np.exp((away - 1) * rng.uniform(4, 14)))
    paler = rng.uniform(0, 0.6) * np.exp(-((away / 0.55) ** 2)) if rng.random() < 0.4 else 0.0
    return np.asarray(patch * (1 - paler) * (1 + 0.2 * _smooth(side, 10, rng)))


def _papules(skin: Plane, rng: Rng) -> Plane:
    """Add a few small raised dots without a pale centre, to be mistaken for pustules."""
    light = rng.uniform(0, 2 * np.pi)
    for centre in _clusters(int(rng.integers(2, 7)), 0.2, 0.06, rng):
        window, grid = _around(skin.shape[0], centre, 0.1)
        radius = rng.uniform(0.02, 0.035)
        dome = np.exp(-((_distance(grid, centre, 0.1, rng) / radius) ** 2))
        lit = 1 + 0.2 * _toward(grid, centre, light) / radius * dome
        skin[window] = _redden(skin[window], rng.uniform(0.3, 0.6) * dome) * lit[..., None]
    return skin


# ---------------------------------------------------------------- copies


def _augmented(image: Image.Image, rng: Rng) -> Image.Image:
    """Return a copy, changed as augmentation scripts do: turned with black corners, recoloured."""
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.3:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if rng.random() < 0.7:
        image = image.rotate(float(rng.uniform(-40, 40)), Image.Resampling.BICUBIC)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(float(rng.uniform(0.8, 1.2)))
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.2))))
    noise = rng.normal(0, rng.uniform(0, 0.03), (image.height, image.width, 3))
    return _image(np.asarray(image, dtype=np.float64) / 255 + noise)
