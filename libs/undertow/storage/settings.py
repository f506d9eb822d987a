"""Where a store is, as a service or the command is told; imports nothing heavy."""

from __future__ import annotations

from typing import Final

from pydantic import Field, SecretStr, field_validator

from undertow.runtime.settings import PREFIX, Section

ROOT_VARIABLE: Final = f"{PREFIX}SNAPSHOT__ROOT"


class StoreSettings(Section):
    """A directory, or a bucket of any S3-compatible store; without keys S3's usual places are asked (`AWS_…`, profile, instance role)."""

    root: str = Field(
        default="var/snapshots",
        description="a directory that can be written, or s3://BUCKET/PREFIX?endpoint_override=HOST:PORT&scheme=http&region=R",
    )
    access_key: str = Field(default="", description="access key of the S3 store")
    secret_key: SecretStr = Field(default=SecretStr(""), description="secret key of the S3 store")

    @field_validator("root")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is empty")
        return value

    @property
    def is_local(self) -> bool:
        """Whether it is a directory of this machine."""
        return "://" not in self.root
