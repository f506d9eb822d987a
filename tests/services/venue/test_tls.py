from __future__ import annotations

import ssl
import stat
from datetime import timedelta

import aiohttp
import pytest

from services.venue.settings import PaperSettings
from services.venue.tls import HOSTS, open_tls
from tests.services.venue.little_market import dripping, running
from tests.support import eventually
from undertow.runtime.errors import ConfigurationError


class Loopback(aiohttp.abc.AbstractResolver):
    async def resolve(self, host, port=0, family=0):
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self):
        pass


async def test_the_venue_makes_its_own_authority_and_says_where_the_file_is(tmp_path):
    tape, folder = dripping(tmp_path / "t.rawlines"), tmp_path / "tls"
    async with running(tape=tape, start="on_command", tls_folder=folder) as client:
        port = await eventually(lambda: client.venue.tls_port)
        facts = await client.page("/control/tls")
        assert facts == {"port": port, "ca_file": str(folder / "ca.pem"), "hosts": list(HOSTS)}
        trusting = ssl.create_default_context(cafile=facts["ca_file"])
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Loopback())) as session:
            for host in ("api.bybit.com", "api-testnet.bybit.com", "api-demo.bybit.com", "localhost", "127.0.0.1"):
                async with session.get(f"https://{host}:{port}/v5/market/time", ssl=trusting) as answer:
                    assert (await answer.json())["retCode"] == 0
            for host in ("stream.bybit.com", "stream-testnet.bybit.com", "stream-demo.bybit.com"):
                async with session.ws_connect(f"wss://{host}:{port}/v5/public/linear", ssl=trusting) as wire:
                    await wire.send_json({"op": "ping"})
                    assert (await wire.receive_json())["ret_msg"] == "pong"
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"https://elsewhere.example:{port}/v5/market/time", ssl=trusting)
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"https://api.bybit.com:{port}/v5/market/time")


async def test_without_tls_the_control_api_says_how_to_have_it(tmp_path):
    async with (
        running(tape=dripping(tmp_path / "t.rawlines"), start="on_command") as client,
        client.session.get("/control/tls") as answer,
    ):
        assert answer.status == 404
        assert "UNDERTOW_PAPER__TLS_FOLDER" in (await answer.json())["error"]


def test_a_second_start_keeps_the_authority_that_clients_trust(tmp_path):
    paper = PaperSettings(tls_folder=tmp_path)
    open_tls(paper)
    before = names_and_bytes(tmp_path)
    open_tls(paper)
    assert names_and_bytes(tmp_path) == before
    assert set(before) == {"ca.pem", "server.pem", "server-key.pem"}


def test_the_key_is_the_owners_alone_and_that_of_the_authority_is_nowhere(tmp_path):
    open_tls(PaperSettings(tls_folder=tmp_path))
    assert stat.S_IMODE((tmp_path / "server-key.pem").stat().st_mode) == 0o600
    assert b"PRIVATE KEY" not in (tmp_path / "ca.pem").read_bytes() + (tmp_path / "server.pem").read_bytes()


def names_and_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "server-key.pem"])
@pytest.mark.parametrize("how", ["missing", "damaged", "of another start"])
def test_what_does_not_belong_together_is_made_anew_as_a_whole(tmp_path, name, how):
    paper, other = PaperSettings(tls_folder=tmp_path / "one"), PaperSettings(tls_folder=tmp_path / "other")
    open_tls(paper)
    open_tls(other)
    before = names_and_bytes(tmp_path / "one")
    file = tmp_path / "one" / name
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(b"no" if how == "damaged" else (tmp_path / "other" / name).read_bytes())
    open_tls(paper)
    after = names_and_bytes(tmp_path / "one")
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())


def test_a_certificate_about_to_end_is_made_anew(tmp_path, monkeypatch):
    with monkeypatch.context() as short:
        short.setattr("services.venue.tls._LIFE", timedelta(hours=1))
        open_tls(PaperSettings(tls_folder=tmp_path))
    before = names_and_bytes(tmp_path)
    open_tls(PaperSettings(tls_folder=tmp_path))
    assert not set(names_and_bytes(tmp_path).values()) & set(before.values())


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError) as caught:
        open_tls(PaperSettings(tls_folder=tmp_path / "file"))
    assert caught.value.variable == "UNDERTOW_PAPER__TLS_FOLDER"
