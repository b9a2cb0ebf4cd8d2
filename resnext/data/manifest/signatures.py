"""Tell by its first bytes what a file is that can't be read as a picture.

It decodes nothing and runs nothing.
"""

from __future__ import annotations

import codecs
import re

from PIL import features

HEAD = 4096  # bytes looked at to tell what a file is
READ_HERE = {  # how files of FORMATS begin
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "PPM": rb"P[1-6](?>\s+|#[^\n]*\n)+\d+\s+\d+\s",
    "WebP": rb"RIFF.{4}WEBP",
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "AVIF": rb".{4}ftyp(?:avi[fs]|(?:mif1|msf1).{4}(?:.{4}){0,9}?avi[fs])",
    "TIFF or camera raw": rb"II[*+]\0|MM\0[*+]",
}
OPTIONAL = {"WebP": "webp", "AVIF": "avif", "JPEG 2000": "jpg_2000"}  # Pillow is built without some
_LEAD = rb"(?:\xef\xbb\xbf)?(?>\s+|<\?xml.*?\?>|<!--.*?-->)*+"
PICTURES_NOT_READ = {
    "HEIC picture": rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)",
    "JPEG XL picture": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "Windows icon": rb"\0\0[\x01\x02]\0[^\0]\0.{3}\0",
    "Photoshop file": rb"8BPS",
    "GIMP file": rb"gimp xcf",
    "PostScript drawing": rb"%!PS|\xc5\xd0\xd3\xc6",
    "SVG drawing": _LEAD + rb"(?i:<!doctype\s+svg|<svg\b)",
    "DICOM picture": rb".{128}DICM",
    "camera raw picture": rb"II(?:R[OS]|U\0)|FUJIFILMCCD-RAW|.{4}ftypcrx ",
    "QOI picture": rb"qoif",
    "DDS picture": rb"DDS \x7c\0\0\0",
    "OpenEXR picture": rb"\x76\x2f\x31\x01",
}
NO_PICTURES = {
    "an HTML page, as failed downloads often are": _LEAD
    + rb"(?i:<!doctype\s+html|<(?:html|head|body|title|script)\b)",
    "an XML file": rb"(?:\xef\xbb\xbf)?<\?xml\s",
    "a Git LFS pointer: fetch the picture with 'git lfs pull'": rb"version https://git-lfs\.github",
    "a shortcut of Windows or a Mac, which is not followed: put the picture itself, or a link made "
    "by 'ln -s', here": rb"L\0\0\0\x01\x14\x02\0|book\0\0\0\0mark",
    "a PDF document": rb"%PDF-",
    "a zip archive, or a document packed as one": rb"PK(?:\x03\x04|\x05\x06)",
    "an archive or a compressed file": rb"\x1f\x8b\x08|BZh[1-9]1AY|\xfd7zXZ\0|7z\xbc\xaf\x27\x1c"
    rb"|Rar!\x1a\x07|\x28\xb5\x2f\xfd|.{257}ustar",
    "a video or sound": rb".{4}ftyp(?:iso[m2-9]|mp4[12v]|M4[APV] |qt  |3g[2p].|avc1|dash|MSNV)"
    rb"|\x1a\x45\xdf\xa3|RIFF.{4}(?:AVI |WAVE)|\0\0\x01[\xba\xb3]"
    rb"|OggS\0|ID3[\x02-\x04]|fLaC|FLV\x01",
    "a file of numbers (NumPy, HDF5)": rb"\x93NUMPY|\x89HDF\r\n",
}


def why_unopened(data: bytes) -> str:
    """Say why bytes that Pillow can't identify are no picture to read, as far as they show it."""
    name = _first(READ_HERE, data)
    if name in OPTIONAL and not features.check(OPTIONAL[name]):
        return f"{name} picture, which the installed Pillow can't read: convert it to JPEG or PNG"
    if name:
        return f"{name} picture that can't be opened: cut short, damaged or of a rare kind"
    return what_else(data) or "not a picture, or its header is damaged"


def what_else(data: bytes) -> str:
    """Say what bytes are that are not of `FORMATS`; empty where that doesn't show."""
    if _first(READ_HERE, data):
        return ""
    if name := _first(PICTURES_NOT_READ, data):
        return f"{name}, which is not read here: convert it to JPEG or PNG"
    name = _first(NO_PICTURES, data)
    if not name and data.count(0) == len(data):
        name = "zero bytes only, as an interrupted copy leaves them"
    elif not name and _is_text(data[:HEAD]):
        name = "text"
    return f"not a picture, but {name}" if name else ""


def _first(kinds: dict[str, bytes], data: bytes) -> str:
    """Return the first kind that the bytes begin like, or an empty name."""
    head = data[:HEAD]
    return next((name for name, how in kinds.items() if re.match(how, head, re.DOTALL)), "")


def _is_text(head: bytes) -> bool:
    """Tell UTF-8 text; a few bytes alone show nothing, and the last character may be cut."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return len(text) >= 8 and all(c.isprintable() or c in "\t\n\f\r" for c in text)
