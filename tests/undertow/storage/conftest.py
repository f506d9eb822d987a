"""An S3 server on loopback (moto), whose keys are not looked at unless a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    made = ThreadedMotoServer("127.0.0.1", 0)
    made.start()
    host, port = made.get_host_and_port()
    S3FileSystem(
        access_key="key",
        secret_key="secret",
        endpoint_override=f"{host}:{port}",
        scheme="http",
        allow_bucket_creation=True,
    ).create_dir("bucket")
    yield f"{host}:{port}"
    made.stop()
