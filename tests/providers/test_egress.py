"""Where calls may go whose address was set at run time."""

from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from app.base.errors import UpstreamUnreachable
from app.providers.egress import Egress, NotReachable
from app.providers.upstream import HttpUpstream
from tests.providers.loopback import loopback, request_to

PRIVATE = (
    "127.0.0.1", "127.8.9.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "0", "10.1.2.3",
    "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "2852039166", "0xA9FEA9FE", "198.18.0.1",
    "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]",
    "[fe80::1]", "[fe80::1%25eth0]", "[fd00:ec2::254]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "localhost",
    "LOCALHOST.", "api.localhost", "metadata.google.internal", "vault.service.internal", "printer.local",
)  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_a_host_of_this_machine_or_of_a_private_network_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(NotReachable, match="KEYHOUSE_ALLOWED_UPSTREAMS"):
        Egress().check_name(host)


@pytest.mark.parametrize("host", ["api.anthropic.com", "8.8.8.8", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "local.ai"])
def test_a_public_host_is_not(host: str) -> None:
    Egress().check_name(host)


async def addresses(egress_allows: Sequence[str], host: str, *found: str) -> list[str]:
    async def resolve(_: str, __: int) -> Sequence[str]:
        return found

    return await Egress(egress_allows, resolve).addresses(host, 443)


async def test_a_name_is_judged_by_every_address_that_it_has() -> None:
    assert await addresses((), "models.example", "8.8.8.8", "2606:4700::1111") == ["8.8.8.8", "2606:4700::1111"]
    for hidden in ("10.0.0.1", "::ffff:10.0.0.1", "169.254.169.254", "fe80::1%eth0"):
        with pytest.raises(NotReachable, match=r'"models\.example" may not be called .* no public address'):
            await addresses((), "models.example", "8.8.8.8", hidden)


async def test_the_operator_allows_hosts_by_name_and_networks() -> None:
    assert await addresses(["models.internal"], "Models.Internal.", "10.0.0.1") == ["10.0.0.1"]
    assert await addresses(["10.0.0.0/8"], "models.example", "10.0.0.1") == ["10.0.0.1"]
    assert await addresses(["10.0.0.0/8"], "models.example", "::ffff:10.0.0.1") == ["::ffff:10.0.0.1"]
    with pytest.raises(NotReachable):
        await addresses(["10.0.0.0/8", "models.internal"], "models.example", "192.168.0.1")


@pytest.fixture
async def http() -> AsyncIterator[HttpUpstream]:
    names = iter(["8.8.8.8", "127.0.0.1"])

    async def changing(_: str, __: int) -> Sequence[str]:
        return [next(names)]

    upstream = HttpUpstream(egress=Egress(resolve=changing))
    yield upstream
    await upstream.close()


async def test_an_address_that_changes_between_check_and_use_is_refused_when_it_is_used(http: HttpUpstream) -> None:
    assert await http._egress.addresses("rebound.example", 80) == ["8.8.8.8"]
    with pytest.raises(UpstreamUnreachable, match="may not be called"):
        await http.send(msgspec.structs.replace(request_to("http://rebound.example/v1"), guarded=True))


async def test_a_guarded_call_uses_no_connection_that_others_have_opened_and_follows_no_redirect() -> None:
    async with loopback() as server:
        server.answer(b"", status=302, headers={"location": "http://169.254.169.254/"})
        upstream = HttpUpstream(egress=Egress())
        reply = await upstream.send(request_to(server.url))
        assert reply.status == 302
        reply.close()
        with pytest.raises(UpstreamUnreachable, match="may not be called"):
            await upstream.send(msgspec.structs.replace(request_to(server.url), guarded=True))
        allowed = HttpUpstream(egress=Egress(["127.0.0.0/8"]))
        redirected = await allowed.send(msgspec.structs.replace(request_to(server.url), guarded=True))
        assert redirected.status == 302
        redirected.close()
        assert len(server.requests) == 2
        await upstream.close()
        await allowed.close()
