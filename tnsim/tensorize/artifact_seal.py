"""What makes a file of chains trustworthy: seal (SHA-256), signature (HMAC), and the steps from older versions."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tnsim.errors import FileCorruptError, FileError, FileForeignError, FileTooNewError

FORMAT, VERSION = "tnsim chains", 2
BLANK = "0" * 64
_PIECE = 1 << 20


def sealed(head: bytes, parts: list[bytes], key: bytes | None) -> bytes:
    """The header, with seal and (where there is a key) signature in the places that hold blanks."""
    seal = _digest([head, *parts])
    if key is not None:
        head = _put(head, "hmac", BLANK, sign(seal, key))
    return _put(head, "sha256", BLANK, seal)


def check_seal(path: Path, head: bytes, metadata: Any, key: bytes | None) -> None:
    """FileForeignError for files of others, FileCorruptError where content and seal, or signature and key differ,
    FileError where a signature is missing."""
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise FileForeignError(f"{path} is a safetensors file, but holds no chains of tnsim.")
    seal, signature = str(metadata.get("sha256")), str(metadata.get("hmac", ""))
    blank = _put(head, "sha256", seal, BLANK)
    if signature:
        blank = _put(blank, "hmac", signature, BLANK)
    if _digest(_pieces(path, blank)) != seal:
        raise FileCorruptError(f"{path} is damaged or was changed: its seal does not fit its content.")
    if key is None:
        return
    if not signature or signature == BLANK:
        raise FileError(f"{path} is not signed, but a key was given: save it with key=, or read it without.")
    if not hmac.compare_digest(signature.encode(), sign(seal, key).encode()):
        raise FileCorruptError(f"{path} was not signed with this key: do not trust it, or give the right key.")


def sign(seal: str, key: bytes) -> str:
    """The signature of a sealed file."""
    if not key:
        raise FileError("an empty key signs nothing: give one of at least 16 random bytes.")
    return hmac.new(key, seal.encode(), hashlib.sha256).hexdigest()


def migrated(path: Path, metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata as the newest version has them. Raises FileForeignError and FileTooNewError."""
    try:
        version = int(metadata["version"])
    except (KeyError, ValueError, TypeError) as error:
        raise FileForeignError(f"{path} tells no version of its format.") from error
    if version > VERSION:
        raise FileTooNewError(f"{path} has version {version}, this tnsim knows {VERSION}: update it.")
    try:
        found = {"source_sha256": "", "hmac": ""} | metadata
        found |= {name: dict(json.loads(metadata[name])) for name in ("chains", "notes")}
        for step in range(version, VERSION):
            found = _STEPS[step](found)
    except (KeyError, ValueError, TypeError) as error:
        raise FileCorruptError(f"{path} does not tell what its chains are made of.") from error
    return found


def _from_1(metadata: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew chains in floating point alone, and no signature."""
    chains = {name: {"kind": "chain", **entry} for name, entry in metadata["chains"].items()}
    return metadata | {"chains": chains, "hmac": ""}


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}


def file_hash(path: Path) -> str:
    """SHA-256 of a checkpoint. Raises FileError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"the checkpoint {path} cannot be read: {error.strerror}.") from error


def _pieces(path: Path, head: bytes) -> Iterable[bytes]:
    yield head
    with path.open("rb") as file:
        file.seek(len(head))
        while piece := file.read(_PIECE):
            yield piece


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _put(head: bytes, name: str, old: str, new: str) -> bytes:
    """The header with another value of the same length; it stands where its name stands first."""
    return head.replace(f'"{name}":"{old}"'.encode(), f'"{name}":"{new}"'.encode(), 1)
