"""From an address to a store: a path is a directory, `s3://BUCKET/PREFIX?OPTION=…` a bucket of any S3-compatible store."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from undertow.runtime.errors import ConfigurationError
from undertow.storage.errors import StoreRefusedError
from undertow.storage.files import Files, LocalFiles
from undertow.storage.settings import ROOT_VARIABLE, StoreSettings
from undertow.storage.store import Store

S3_OPTIONS: Final = ("endpoint_override", "region", "scheme")
REMEDY: Final = f"correct {ROOT_VARIABLE}"


def open_store(settings: StoreSettings) -> Store:
    """Open the store that a service is told to use, and see that it answers.

    Raises:
        ConfigurationError: the address is none, or the store does not let us in.
    """
    try:
        return Store(open_files(settings.root, settings.access_key, settings.secret_key.get_secret_value()))
    except StoreRefusedError as error:
        raise ConfigurationError(ROOT_VARIABLE, error.rule, error.remedy) from None


def open_files(address: str, access_key: str = "", secret_key: str = "") -> Files:
    """Open the place behind an address.

    Args:
        address: a path, or `s3://BUCKET/PREFIX` with the options `endpoint_override`, `region` and `scheme`.
        access_key: of S3; empty asks the usual places.
        secret_key: of S3.

    Raises:
        StoreRefusedError: it is neither, or S3 does not know the bucket or the keys.
    """
    if "://" not in address:
        return LocalFiles(Path(address))
    parts = urlsplit(address)
    if parts.scheme != "s3" or not parts.hostname:
        raise StoreRefusedError(f"{address} is neither a directory nor s3://BUCKET/PREFIX", REMEDY)
    if parts.username or parts.password:
        raise StoreRefusedError(
            "keys do not belong into the address", "set them as ACCESS_KEY and SECRET_KEY beside it"
        )
    options = dict(parse_qsl(parts.query))
    for name in options:
        if name not in S3_OPTIONS:
            raise StoreRefusedError(f"{address}: there is no option {name}, only {', '.join(S3_OPTIONS)}", REMEDY)
    if bool(access_key) != bool(secret_key):
        raise StoreRefusedError(f"{address}: one of access key and secret key is missing", "set both, or none")
    from undertow.storage.bucket import BucketFiles  # noqa: PLC0415 - botocore loads only for a bucket

    files = BucketFiles(parts.netloc, parts.path.strip("/"), access_key, secret_key, options)
    files.look()
    return files
