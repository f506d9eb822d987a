"""The model registry: immutable entries named by the hash of their content, and a pointer to the champion.

    <root>/<hash>/return.onnx   return given a fill
    <root>/<hash>/fill.onnx     fill probability
    <root>/<hash>/card.json     what it is; with the SHA-256 of both files
    <root>/champion             the hash that is served

An entry appears by an atomic rename, complete or not at all. The demonstration model ships inside the package and is used where the
registry has no champion; it is good for PAPER only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from undertow.domain.state import Mode
from undertow.features.catalogue import SCHEMA_HASH
from undertow.learning.errors import ModelError
from undertow.learning.grid import ARM_COLUMNS, ARMS
from undertow.learning.scoring import OnnxScorer

DEMONSTRATION: Final = Path(__file__).parent / "demonstration"
HASH_LENGTH: Final = 16
FILES: Final = ("return.onnx", "fill.onnx")
_HASH: Final = re.compile(r"[0-9a-f]{16}")


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A model's card.

    Attributes:
        schema_hash: of the features it was trained on.
        features: their names in order.
        arm_columns: the columns after the features.
        arms: how many rows it scores at once.
        demonstration: True when it proves nothing and may trade in PAPER only.
        data: what it was trained on: label of the market, span, triggers, fingerprint.
        training: seeds, trees, depth, split.
        metrics: on held-out data.
        files: SHA-256 of each file, hex.
    """

    schema_hash: str
    features: tuple[str, ...]
    arm_columns: tuple[str, ...]
    arms: int
    demonstration: bool
    data: dict[str, Any]
    training: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, str]
    version: int = 1


class Entry(msgspec.Struct, frozen=True):
    """A verified entry: its bytes are those its name was made from."""

    model_hash: str
    card: Card
    return_onnx: bytes
    fill_onnx: bytes

    def scorer(self) -> OnnxScorer:
        """Load it into ONNX Runtime.

        Raises:
            ModelError: it cannot be loaded.
        """
        return OnnxScorer(
            self.return_onnx,
            self.fill_onnx,
            model_hash=self.model_hash,
            schema_hash=self.card.schema_hash,
            columns=len(self.card.features) + len(self.card.arm_columns),
        )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def encode_card(card: Card) -> bytes:
    """Spell a card: same card, same bytes."""
    return msgspec.json.format(msgspec.json.encode(card, order="sorted"), indent=2) + b"\n"


def write_entry(root: Path, card: Card, return_onnx: bytes, fill_onnx: bytes) -> str:
    """Add an entry; writing the same one again changes nothing.

    Returns:
        Its hash.
    """
    contents = {"return.onnx": return_onnx, "fill.onnx": fill_onnx}
    card = msgspec.structs.replace(card, files={name: _sha256(content) for name, content in contents.items()})
    contents["card.json"] = encode_card(card)
    model_hash = _sha256(contents["card.json"])[:HASH_LENGTH]
    root.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=root))
    try:
        for name, content in contents.items():
            with (temporary / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o755)
        with contextlib.suppress(OSError):  # it is there already, with these very bytes
            temporary.rename(root / model_hash)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    load_entry(root, model_hash)
    return model_hash


def load_entry(root: Path, model_hash: str) -> Entry:
    """Read and verify an entry.

    Raises:
        ModelError: it is missing, truncated, altered, or its card does not fit this version; one line with the remedy.
    """
    if not _HASH.fullmatch(model_hash):
        raise ModelError(f"{model_hash!r} is no model hash", f"name one of the entries of {root}: 16 hex digits")
    folder = root / model_hash
    try:
        raw_card = (folder / "card.json").read_bytes()
        contents = {name: (folder / name).read_bytes() for name in FILES}
    except OSError as error:
        raise ModelError(
            f"model {model_hash}: cannot read {error.filename}: {error.strerror}", "restore the entry or train again"
        ) from None
    if _sha256(raw_card)[:HASH_LENGTH] != model_hash:
        raise ModelError(f"model {model_hash}: {folder / 'card.json'} is truncated or altered", "restore the entry")
    try:
        card = msgspec.json.decode(raw_card, type=Card)
    except msgspec.MsgspecError as error:
        raise ModelError(
            f"model {model_hash}: its card cannot be read: {error}", "train again with this version"
        ) from None
    for name, content in contents.items():
        if _sha256(content) != card.files.get(name):
            raise ModelError(
                f"model {model_hash}: {folder / name} is truncated or altered ({len(content)} bytes)",
                "restore the entry",
            )
    if card.arms != len(ARMS) or card.arm_columns != ARM_COLUMNS:
        raise ModelError(f"model {model_hash} was trained for another grid of arms", "train again with this version")
    return Entry(model_hash, card, contents["return.onnx"], contents["fill.onnx"])


def read_champion(root: Path) -> str | None:
    """Give the hash that `champion` names, or None where there is no champion.

    Raises:
        ModelError: the pointer cannot be read or is no hash.
    """
    path = root / "champion"
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", "make it readable, or delete it") from None
    if not _HASH.fullmatch(text):
        raise ModelError(
            f"{path} holds {text[:40]!r}, no model hash", "write the name of an entry into it, or delete it"
        )
    return text


def promote(root: Path, model_hash: str) -> None:
    """Make an entry the champion, atomically, after verifying it.

    Raises:
        ModelError: the entry is not sound.
    """
    load_entry(root, model_hash)
    temporary = root / f".champion-{os.getpid()}"
    temporary.write_text(model_hash + "\n", encoding="ascii")
    temporary.replace(root / "champion")


def load_serving(root: Path, mode: Mode, demonstration: Path = DEMONSTRATION) -> Entry:
    """Give the champion, or in PAPER the demonstration model where the registry has none.

    Raises:
        ModelError: no model may serve in this mode, or the one that should is not sound.
    """
    name = read_champion(root)
    if name is not None:
        entry = load_entry(root, name)
    elif mode is not Mode.PAPER:
        raise ModelError(
            f"{root} has no champion, and the demonstration model is for paper only", "train and promote a model"
        )
    else:
        shipped = read_champion(demonstration)
        if shipped is None:
            raise ModelError(f"{root} has no champion and no demonstration model was shipped", "run the trainer")
        entry = load_entry(demonstration, shipped)
    if entry.card.demonstration and mode is not Mode.PAPER:
        raise ModelError(
            f"model {entry.model_hash} is a demonstration model, good for paper only, not {mode}", "promote another"
        )
    if entry.card.schema_hash != SCHEMA_HASH:
        raise ModelError(
            f"model {entry.model_hash} knows features of schema {entry.card.schema_hash}, this version computes {SCHEMA_HASH}",
            "train again with this version",
        )
    return entry
