"""Apply what a person decided of single images: leave out, give another class, join to a group.

A decision is about the file at its path if it has the bytes that it had, else about the file that
has them now: a renamed image keeps its decision. It counts for all files with these bytes in the
same class. Nothing on the disk is changed. What joins a group is applied by the split.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd

from resnext.contracts.formatting import plural
from resnext.data.manifest.class_folders import class_name
from resnext.data.manifest.scan import Scan
from resnext.data.user_tables import (
    IMAGE,
    Column,
    UserTable,
    find_images,
    first_shown,
    quoted,
    read_user_table,
)

FLAG = "--decisions"
DECIDED_COLUMNS = ["path", "sha256", "kind", "decision"]
KEEP, DROP, LABEL, GROUP = "keep", "drop", "label", "group"
REMEDY = "Write a line path,decision at the top and one for each image."
DONE = {KEEP: "kept", DROP: "dropped", LABEL: "given another class", GROUP: "joined to a group"}


def decide(found: Scan, root: Path, file: Path) -> tuple[Scan, pd.DataFrame]:
    """Apply the decisions of a file to a scan; give them too, a row an image (`DECIDED_COLUMNS`).

    Raises:
        InputError: the file can't be read, a decision is none, contradicts another one or names a
            class that is not there, or too little is left.
    """
    table = read_decisions(file)
    rows, gone = _meet(table, found.manifest, root)
    _require_classes_there(table, rows, set(found.manifest["label"]))
    _require_no_contradiction(table, rows)
    manifest = found.manifest
    dropped = manifest["path"].isin(rows.loc[rows["decision"] == DROP, "path"])
    labels = {path: class_name(name) for path, name in named(rows, LABEL).items()}
    pairs = zip(manifest["path"], manifest["label"], strict=True)
    label = pd.Series([labels.get(*pair) for pair in pairs], manifest.index, dtype="str")
    reasons = manifest.loc[dropped, ["path"]].assign(reason=f"dropped by {file.name}")
    decided = replace(
        found,
        manifest=manifest.assign(label=label)[~dropped].reset_index(drop=True),
        hashes=found.hashes[~dropped.to_numpy()],
        odd=found.odd[~dropped].reset_index(drop=True),
        quarantine=pd.concat([found.quarantine, reasons]).sort_values("path", ignore_index=True),
        warnings=(*found.warnings, *table.notes, *gone),
    )
    left = set(decided.manifest["label"])
    if len(left) < 2:
        got = f"only {quoted(*left)}" if left else "none"
        raise table.wrong("leave images of at least 2 classes", got, "Change some of them.")
    return decided, rows[DECIDED_COLUMNS].reset_index(drop=True)


def named(decided: pd.DataFrame, action: str) -> dict[str, str]:
    """Give the class or group that was decided on, by the path of each image."""
    begin = f"{action}:"
    rows = zip(decided["path"], decided["decision"], strict=True)
    return {path: text.removeprefix(begin) for path, text in rows if text.startswith(begin)}


def describe_decisions(decided: pd.DataFrame) -> str:
    """Count the images that decisions were about, by what was done; identical ones count each."""
    pairs = decided.drop_duplicates(["path", "decision"])["decision"]
    counts = Counter(decision.partition(":")[0] for decision in pairs)
    done = [f"{counts[action]:,} {what}" for action, what in DONE.items() if counts[action]]
    files = decided.drop_duplicates("path")["sha256"]
    images, again = plural(len(files), "image"), int(files.duplicated().sum())
    identical = f" ({again:,} of them identical to another of them)" if again else ""
    return f"A person decided about {images}{identical}: {', '.join(done) or 'nothing was changed'}"


def read_decisions(file: Path) -> UserTable:
    """Read the rows of a file of decisions that hold one, each with its `line`.

    Raises:
        InputError: it can't be read, or a decision is none.
    """
    columns, more = (IMAGE, Column("decision")), (Column("sha256"), Column("kind"))
    table = read_user_table(file, FLAG, columns, REMEDY, more)
    rows = table.rows.assign(line=list(table.lines))
    for name in ("sha256", "kind", "decision"):
        rows[name] = rows[name].str.strip()
    rows["sha256"] = rows["sha256"].str.lower()
    rows = rows[rows["decision"] != ""].reset_index(drop=True)
    rows["decision"] = [
        _clean(table, text, line) for text, line in zip(rows["decision"], rows["line"], strict=True)
    ]
    return replace(table, rows=rows.astype({"decision": "str"}))


def _clean(table: UserTable, text: str, line: int) -> str:
    """Give a decision in one form.

    Raises:
        InputError: it is none.
    """
    action, _, name = (part.strip() for part in text.partition(":"))
    action, name = action.lower(), unicodedata.normalize("NFC", name)
    if action in (KEEP, DROP) and not name:
        return action
    if action in (LABEL, GROUP) and name and name.isprintable():
        return f"{action}:{name}"
    rule = "hold the decisions keep, drop, label:CLASS or group:NAME"
    raise table.wrong(rule, f"{quoted(text)} in line {line}", "Correct it, or leave it empty.")


def _meet(table: UserTable, manifest: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, list[str]]:
    """Find the images that the rows are about, and say which rows are about none."""
    known = manifest[["path", "label", "sha256"]]
    rows, digest_of = table.rows, dict(zip(known["path"], known["sha256"], strict=True))
    by_bytes = known.drop_duplicates("sha256").set_index("sha256")["path"]
    places = find_images(table, sorted(digest_of), root).of_rows
    found = [
        by_bytes.get(digest, "") if digest and digest_of.get(path) != digest else path
        for path, digest in zip(places, rows["sha256"], strict=True)
    ]
    about = rows.assign(found=pd.Series(found, rows.index, dtype="str"))
    gone = about.loc[about["found"] == "", "path"]
    first = about.drop(columns=["path", "sha256"]).merge(known, left_on="found", right_on="path")
    same = first.drop(columns="path").merge(known, on=["sha256", "label"])
    lost = f"{len(gone):,} of {len(rows):,} rows of {FLAG} are about no image that is here: "
    return same.sort_values(["line", "path"]), [lost + first_shown(gone)] if len(gone) else []


def _require_classes_there(table: UserTable, rows: pd.DataFrame, classes: set[str]) -> None:
    for path, name in named(rows, LABEL).items():
        if class_name(name) not in classes:
            (line, *_) = rows.loc[(rows["path"] == path) & _acts(rows, LABEL), "line"]
            got = f"{quoted(name)} in line {line}"
            known = ", ".join(map(quoted, sorted(classes)))
            raise table.wrong("name classes that are there", got, f"They are {known}.")


def _require_no_contradiction(table: UserTable, rows: pd.DataFrame) -> None:
    """Refuse two classes or groups for an image, and one that is dropped and something else."""
    acts = rows.drop_duplicates(["path", "decision"])
    acts = acts.assign(action=[text.partition(":")[0] for text in acts["decision"]])
    dropped = acts["path"].isin(acts.loc[acts["decision"] == DROP, "path"])
    again = acts.duplicated("path", keep=False)
    clash = acts[acts.duplicated(["path", "action"], keep=False) | (dropped & again)]
    if len(clash):
        path = clash["path"].iloc[0]
        pair = clash[clash["path"] == path].head(2).itertuples()
        both = " and ".join(f"{quoted(str(each.decision))} (line {each.line})" for each in pair)
        raise table.wrong(
            "decide one thing of an image", f"{both} for {quoted(path)}", "Remove one of them."
        )


def _acts(rows: pd.DataFrame, action: str) -> pd.Series[bool]:
    return rows["decision"].str.startswith(f"{action}:")


def no_decisions() -> pd.DataFrame:
    """Give the table of no decision."""
    return pd.DataFrame({name: pd.Series(dtype="str") for name in DECIDED_COLUMNS})
