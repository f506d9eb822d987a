"""A bucket of an S3-compatible store as the place of a store.

pyarrow carries the rows. What it has no words for is asked of botocore: a write that happens only where nobody else has written since
(`If-Match`, `If-None-Match`), and the store's own reason for a refusal. botocore looks for keys in the same places as pyarrow.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any, Final

import pyarrow.fs as pafs
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.session import get_session

from undertow.storage.errors import StoreRefusedError, StoreTakenError, short
from undertow.storage.files import ALONE, Marked

CONNECT_S: Final = 10
ANSWER_S: Final = 30
ATTEMPTS: Final = 3
_CHUNK: Final = 1 << 20
_TAKEN: Final = ("PreconditionFailed", "ConditionalRequestConflict", "412")
_GONE: Final = ("NoSuchKey", "404")
_KEYS: Final = "set UNDERTOW_SNAPSHOT__ACCESS_KEY and UNDERTOW_SNAPSHOT__SECRET_KEY, or the usual AWS_… variables, anew"


def _region(name: str) -> str:
    return f"put region={name} into the address"


_REFUSALS: Final[dict[str, tuple[str, str]]] = {
    "InvalidAccessKeyId": ("does not know the access key", _KEYS),
    "SignatureDoesNotMatch": ("says that the secret key is not that of the access key", _KEYS),
    "ExpiredToken": ("says that the session has expired", _KEYS),
    "InvalidToken": ("does not know the session token", _KEYS),
    "NoSuchBucket": ("has no such bucket", "create it, or correct the address"),
    "PermanentRedirect": ("has the bucket in another region", _region("…")),
    "AuthorizationHeaderMalformed": ("has the bucket in another region", _region("…")),
    "RequestTimeTooSkewed": ("says that our clock is wrong", "set the clock of this machine"),
}
"""What S3 says, in words, and what to do."""


class BucketFiles:
    """See `Files`. An object is seen when its writer has ended it; nothing is renamed.

    Args:
        bucket: its name.
        prefix: path of the root in it, "" for the bucket itself.
        access_key: "" asks the usual places.
        secret_key: of the access key.
        options: `endpoint_override`, `region` and `scheme`, where they are told.
    """

    def __init__(self, bucket: str, prefix: str, access_key: str, secret_key: str, options: dict[str, str]) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        keys = {"access_key": access_key, "secret_key": secret_key} if access_key else {}
        self._s3 = pafs.S3FileSystem(**options, **keys, connect_timeout=CONNECT_S, request_timeout=ANSWER_S)
        self._files = pafs.SubTreeFileSystem(f"{bucket}/{prefix}" if prefix else bucket, self._s3)
        self._asking = _client(access_key, secret_key, options)

    @property
    def address(self) -> str:
        """See `Files.address`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def filesystem(self) -> pafs.FileSystem:
        """See `Files.filesystem`."""
        return self._files

    def look(self) -> None:
        """See that the bucket lets us in.

        Raises:
            StoreRefusedError: it does not.
        """
        with self._explained("list (s3:ListBucket)"):
            found = self._asking.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        region = found["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", self._s3.region)
        if region != self._s3.region:  # botocore finds its way there, pyarrow does not
            raise StoreRefusedError(f"{self.address} is in {region}, not in {self._s3.region}", _region(region))

    def prepare(self, unfinished: Iterable[str]) -> None:
        """See `Files.prepare`; nothing unfinished can be seen here."""
        del unfinished
        path = f"_probe/{token_hex(8)}"
        mark = self.swap(path, b"undertow", None)
        try:
            self.swap(path, b"again", None)
        except StoreTakenError:
            pass
        else:
            raise StoreRefusedError(
                f"{self.address} ignores If-None-Match, so two writers could not be told apart",
                "use a store that knows conditional writes (S3, MinIO, R2), or a directory",
            )
        try:
            self.write(path, lambda file: file.write(mark.encode()))
        except OSError as error:
            raise StoreRefusedError(
                f"{self.address} cannot be written ({short(error)})", "correct its address or its rules"
            ) from None
        with self._explained("read (s3:GetObject)"):
            self.marked(path)
        with self._explained("remove (s3:DeleteObject)"):
            self._asking.delete_object(Bucket=self._bucket, Key=self._prefix + path)

    def claim(self, name: str) -> Callable[[], None]:
        """See `Files.claim`; a bucket cannot tell, so it is the marks that keep two writers apart."""
        del name
        return lambda: None

    def marked(self, path: str) -> Marked | None:
        """See `Files.marked`.

        Raises:
            StoreRefusedError: the store refuses.
        """
        with self._explained("read (s3:GetObject)"):
            try:
                found = self._asking.get_object(Bucket=self._bucket, Key=self._prefix + path)
            except ClientError as error:
                if _code(error) in _GONE:
                    return None
                raise
            return Marked(found["Body"].read(), found["ETag"])

    def swap(self, path: str, content: bytes, mark: str | None) -> str:
        """See `Files.swap`."""
        condition = {"IfNoneMatch": "*"} if mark is None else {"IfMatch": mark}
        with self._explained("write (s3:PutObject)"):
            try:
                put = self._asking.put_object(
                    Bucket=self._bucket, Key=self._prefix + path, Body=content, ContentLength=len(content), **condition
                )
            except ClientError as error:
                if _code(error) not in (*_TAKEN, *_GONE):
                    raise
            else:
                return str(put["ETag"])
        there = self.marked(path)
        if there is not None and there.content == content:  # it was ours, and the answer got lost
            return there.mark
        raise StoreTakenError(f"{self.address}/{path} was written by another process", ALONE)

    def write(self, path: str, fill: Callable[[Any], None]) -> None:
        """See `Files.write`; filled beside, because an object that is given up half-way would be seen as a whole one.

        Raises:
            OSError: the store, or the disk for temporary files, refuses.
        """
        with tempfile.TemporaryFile() as whole:
            fill(whole)
            whole.seek(0)
            with self._files.open_output_stream(path) as file:
                shutil.copyfileobj(whole, file, _CHUNK)

    def read(self, path: str) -> bytes | None:
        """See `Files.read`."""
        try:
            with self._files.open_input_stream(path) as file:
                return bytes(file.readall())
        except FileNotFoundError:
            return None

    def paths(self, folder: str = "") -> list[str]:
        """See `Files.paths`."""
        selector = pafs.FileSelector(folder, recursive=True, allow_not_found=True)
        return [info.path for info in self._files.get_file_info(selector) if info.type == pafs.FileType.File]

    def remove(self, paths: Iterable[str]) -> None:
        """See `Files.remove`."""
        for path in paths:
            try:
                self._files.delete_file(path)
            except FileNotFoundError:
                continue

    @contextmanager
    def _explained(self, deed: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = _code(error)
            rule, remedy = _REFUSALS.get(code, (f"refuses us to {deed}: {code}", "give these keys the permission"))
            raise StoreRefusedError(f"{self.address} {rule}", remedy) from None
        except NoCredentialsError:
            raise StoreRefusedError(f"{self.address} needs keys, and none were found", _KEYS) from None
        except (HTTPClientError, BotoCoreError) as error:
            raise StoreRefusedError(
                f"{self.address} does not answer ({short(error)})", "correct the address, or bring the store back"
            ) from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _client(access_key: str, secret_key: str, options: dict[str, str]) -> Any:
    endpoint = options.get("endpoint_override")
    return get_session().create_client(
        "s3",
        region_name=options.get("region"),
        endpoint_url=f"{options.get('scheme', 'https')}://{endpoint}" if endpoint else None,
        aws_access_key_id=access_key or None,
        aws_secret_access_key=secret_key or None,
        config=Config(
            connect_timeout=CONNECT_S,
            read_timeout=ANSWER_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={"addressing_style": "path" if endpoint else "auto"},
            request_checksum_calculation="when_required",  # stores that are not Amazon's do not all know the newer ones
            response_checksum_validation="when_required",
        ),
    )
