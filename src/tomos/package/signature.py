"""Who made this model file: an Ed25519 signature over the manifest, which holds all checksums.

Keys are PEM files, as `openssl genpkey -algorithm ed25519 -out key.pem` and
`openssl pkey -in key.pem -pubout -out key.pub` make them. Source: RFC 8032, RFC 8410.
"""

from __future__ import annotations

import json
from pathlib import Path

from tomos.types import MissingExtra, PackageError

# Said before the manifest, so that a signature made for anything else never fits here.
_PURPOSE = b"tomos model.tomos schema 1\n"
_BEGIN = b"-----BEGIN PUBLIC KEY-----"


def sign(manifest: bytes, key: Path) -> bytes:
    """`signature.json` for these manifest bytes, made with the private key in a PEM file."""
    serialization, kinds = _library()
    try:
        private = serialization.load_pem_private_key(Path(key).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise PackageError(f"{key}: expected an unencrypted private key (PEM): {error}") from None
    if not isinstance(private, kinds.Ed25519PrivateKey):
        raise PackageError(f"{key}: expected an Ed25519 key, got another kind")
    public = private.public_key().public_bytes_raw()
    content = {
        "algorithm": "Ed25519",
        "key": public.hex(),
        "signature": private.sign(_PURPOSE + manifest).hex(),
    }
    return json.dumps(content, indent=1).encode()


def verify(manifest: bytes, signature: bytes | None, trust: Path, where: str) -> str:
    """The key (hex) that signed, one of those in `trust` (a PEM file, or a folder of them).

    Raises PackageError when the file is unsigned, signed by another key, or changed since.
    """
    known = _public_keys(Path(trust))
    if signature is None:
        raise PackageError(f"{where}: not signed, and only models signed by {trust} are accepted")
    try:
        content = json.loads(signature)
        key, mark = content["key"], bytes.fromhex(content["signature"])
        if content["algorithm"] != "Ed25519" or not isinstance(key, str):
            raise ValueError("not an Ed25519 signature")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PackageError(f"{where}: its signature is not readable ({error})") from None
    if key not in known:
        raise PackageError(f"{where}: signed by {key[:64]}, which is not among the keys in {trust}")
    from cryptography.exceptions import InvalidSignature

    try:
        known[key].verify(mark, _PURPOSE + manifest)
    except InvalidSignature:
        raise PackageError(f"{where}: was changed after it was signed; do not use it") from None
    return key


def _public_keys(trust: Path) -> dict:
    """Raw public key in hex -> key."""
    serialization, kinds = _library()
    files = sorted(trust.iterdir()) if trust.is_dir() else [trust]
    keys = {}
    for file in files:
        try:
            blocks = file.read_bytes().split(_BEGIN)[1:]
        except OSError as error:
            raise PackageError(f"--trust {file}: cannot be read ({error.strerror})") from None
        for block in blocks:
            try:
                key = serialization.load_pem_public_key(_BEGIN + block)
            except ValueError as error:
                raise PackageError(f"--trust {file}: not a public key ({error})") from None
            if isinstance(key, kinds.Ed25519PublicKey):
                keys[key.public_bytes_raw().hex()] = key
    if not keys:
        raise PackageError(f"--trust {trust}: expected Ed25519 public keys (PEM), found none")
    return keys


def _library():
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise MissingExtra("signing and checking a signature", "cryptography", "sign") from None
    return serialization, ed25519
