"""The NATS launcher: durable over crashes, on a port of its own, gone with its parent."""

from __future__ import annotations

import os
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.aio.client import Client as NatsClient

from stoflow_sandbox.servers import NatsServer
from stoflow_sandbox.servers.errors import FolderInUseError, PortTakenError
from tests.integration.sandbox.launching import IDENTITIES, Launcher, make_folder_for, wait_until_gone


async def publish(url: str, payload: bytes) -> None:
    client = await nats.connect(url)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="KEPT", subjects=["kept.>"])
    await jetstream.publish("kept.one", payload)
    await client.close()


async def read(url: str) -> bytes | None:
    client = await nats.connect(url)
    try:
        return (await client.jetstream().get_last_msg("KEPT", "kept.one")).data
    finally:
        await client.close()


async def test_acknowledged_message_survives_a_crash(tmp_path: Path) -> None:
    """After SIGKILL and a restart the address is the same and an acknowledged message is there."""
    with NatsServer(tmp_path / "nats store") as server:
        url = server.url
        await publish(url, b"42")
        server.kill()
        server.start()
        assert server.url == url
        assert await read(url) == b"42"
        server.restart()
        assert server.url == url
        assert await read(url) == b"42"


async def test_two_servers_run_at_once(nats_url: str, tmp_path: Path) -> None:
    """Two folders give two servers on two ports that share no stream."""
    with NatsServer(tmp_path / "store") as other:
        assert other.url != nats_url
        await publish(other.url, b"other")
        client = await nats.connect(nats_url)
        assert await client.jetstream().streams_info() == []
        await client.close()


@pytest.mark.parametrize("run", [1, 2])
async def test_each_test_starts_without_streams(nats_url: str, run: int) -> None:
    """A stream made by one test is not seen by the next."""
    client = await nats.connect(nats_url)
    assert await client.jetstream().streams_info() == []
    await client.close()
    await publish(nats_url, b"left behind")


def test_second_start_in_a_used_folder_is_refused(tmp_path: Path) -> None:
    """A folder in use is refused with its name and the holder's pid."""
    message = rf"store is in use by another process \(pid {os.getpid()}\)"
    with NatsServer(tmp_path / "store"), pytest.raises(FolderInUseError, match=message):
        NatsServer(tmp_path / "store").start()


def test_taken_port_is_named(nats_server: NatsServer, tmp_path: Path) -> None:
    """A chosen port that another server holds is an error, and the log in it says why."""
    port = int(nats_server.url.rpartition(":")[2])
    with pytest.raises(PortTakenError, match="address already in use"):
        NatsServer(tmp_path / "store", port=port).start()


async def test_config_file_adds_users(tmp_path: Path) -> None:
    """A configuration file's users are demanded, beside the launcher's own settings."""
    config = tmp_path / "nats.conf"
    config.write_text('authorization { users: [{ user: "orchestrator", password: "secret" }] }')
    refusals = []

    async def remember(error: Exception) -> None:
        refusals.append(str(error))

    with NatsServer(tmp_path / "store", config_file=config) as server:
        stranger = NatsClient()
        with pytest.raises(nats.errors.Error):
            await stranger.connect(server.url, allow_reconnect=False, error_cb=remember)
        await stranger.close()
        client = await nats.connect(server.url, user="orchestrator", password="secret")
        await client.close()
    assert any("authorization violation" in refusal.lower() for refusal in refusals)


@pytest.mark.parametrize("user", IDENTITIES, ids=["this user", "ordinary user"][: len(IDENTITIES)])
async def test_killed_launcher_leaves_no_process_and_loses_nothing(
    tmp_path: Path, user: tuple[str, ...]
) -> None:
    """SIGKILL of the launcher ends the server, and the next launcher finds the message."""
    folder = make_folder_for(user, tmp_path) / "store"
    launcher = Launcher("nats", folder, user)
    await publish(launcher.url, b"42")

    launcher.kill()

    assert wait_until_gone([launcher.server_pid]) == []
    successor = Launcher("nats", folder, user)
    try:
        assert await read(successor.url) == b"42"
    finally:
        successor.kill()
    assert wait_until_gone([successor.server_pid]) == []
