"""Who a caller is, what it was asked for, and what it may still send."""

from collections.abc import Mapping
from typing import Any

import grpc
import jwt
import pytest

from fednkit.controller.tokens import make_token, site_claims
from fednkit.network._site import MAX_OPEN_TASKS, MAX_STORED_BYTES, TRAINING, VALIDATION
from fednkit.network._sites import MAX_SITES, SILENT_SECONDS, RefusedCall, Sites, token_claims

SECRET = "a secret of this test, long enough"  # noqa: S105


class Stream:
    """A task stream, as much of it as is asked for."""

    def __init__(self) -> None:
        self.cancelled = False

    def is_active(self) -> bool:
        return not self.cancelled

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sites(clock: Clock) -> Sites:
    return Sites(clock=clock)


def call(sites: Sites, client_id: str, peer: str) -> tuple[str, str]:
    site, connection = sites.caller({"client": client_id}, peer)
    return site.name, connection


@pytest.mark.parametrize("text", ["", "a b", "a\n", "\x1b[2Jx", "../x", "x" * 65, None, 7, ["x"]])
def test_an_id_and_a_name_are_plain_words(sites: Sites, text: object) -> None:
    for client_id, name in ((text, "site-1"), ("one", text)):
        with pytest.raises(RefusedCall, match="expected up to 64 letters, digits"):
            sites.register(client_id, name, {})


def test_a_network_of_its_own_takes_in_the_sites_that_it_started() -> None:
    sites = Sites({"one": "site-1"})
    assert sites.register("one", "site-1", {}).name == "site-1"
    for client_id, name in (("one", "site-2"), ("two", "site-1"), ("two", "site-2")):
        with pytest.raises(RefusedCall, match="no site of this network"):
            sites.register(client_id, name, {})


def test_there_are_only_so_many_sites(sites: Sites) -> None:
    for number in range(MAX_SITES):
        sites.register(f"id-{number}", "site", {})
    with pytest.raises(RefusedCall, match=f"at most {MAX_SITES} sites"):
        sites.register("one-more", "site", {})
    assert sites.register("id-0", "site", {}).client_id == "id-0"


def test_who_has_not_registered_calls_nothing(sites: Sites) -> None:
    for metadata in ({}, {"client": "one"}):
        with pytest.raises(RefusedCall, match="unknown client"):
            sites.caller(metadata, "ipv4:1")


def test_an_id_belongs_to_the_connection_of_its_stream_until_that_is_silent(
    sites: Sites, clock: Clock
) -> None:
    site = sites.register("one", "site-1", {})
    first = Stream()
    sites.connect(site, call(sites, "one", "ipv4:1")[1], first)
    with pytest.raises(RefusedCall, match="has to wait") as refused:
        call(sites, "one", "ipv4:2")
    assert refused.value.code is grpc.StatusCode.UNAVAILABLE
    assert sites.take_reports() == {"site-1": ["another connection used its id"]}
    clock.now += SILENT_SECONDS - 1
    # A sign of life.
    assert call(sites, "one", "ipv4:1") == ("site-1", "ipv4:1")
    clock.now += SILENT_SECONDS - 1
    with pytest.raises(RefusedCall):
        call(sites, "one", "ipv4:2")
    clock.now += 1
    assert call(sites, "one", "ipv4:2") == ("site-1", "ipv4:2")
    # From now on it is the other one's.
    with pytest.raises(RefusedCall):
        call(sites, "one", "ipv4:1")
    second = Stream()
    sites.connect(site, "ipv4:2", second)
    assert (first.cancelled, second.cancelled) == (True, False)


def test_a_site_whose_stream_has_ended_comes_back_at_once(sites: Sites) -> None:
    site, first, second = sites.register("one", "site-1", {}), Stream(), Stream()
    sites.connect(site, call(sites, "one", "ipv4:1")[1], first)
    sites.disconnect(site, first)
    sites.connect(site, call(sites, "one", "ipv4:2")[1], second)
    # The end of the first, told late, does not end the second.
    sites.disconnect(site, first)
    with pytest.raises(RefusedCall):
        call(sites, "one", "ipv4:1")


def test_a_name_is_not_changed_while_its_site_is_there(sites: Sites) -> None:
    site, stream = sites.register("one", "site-1", {}), Stream()
    sites.connect(site, call(sites, "one", "ipv4:1")[1], stream)
    with pytest.raises(RefusedCall, match="the site site-1 is online with it"):
        sites.register("one", "site-2", {})
    sites.disconnect(site, stream)
    assert sites.register("one", "site-2", {}).name == "site-2"


def test_a_task_is_answered_once_and_by_the_site_that_was_asked(sites: Sites) -> None:
    one, other = (sites.register(name, name, {}) for name in ("one", "other"))
    sites.ask("one", TRAINING, "model")
    sites.ask("nobody", TRAINING, "model")
    assert (one.was_given("model"), other.was_given("model")) == (True, False)
    assert not one.answer(VALIDATION, "model")
    assert not other.answer(TRAINING, "model")
    assert [one.answer(TRAINING, "model") for _ in range(3)] == [True, False, False]
    sites.ask("one", TRAINING, "model")
    assert one.answer(TRAINING, "model")


def test_only_the_newest_tasks_are_kept(sites: Sites) -> None:
    site = sites.register("one", "site-1", {})
    for number in range(MAX_OPEN_TASKS + 1):
        sites.ask("one", TRAINING, f"model-{number}")
    assert not site.was_given("model-0")
    assert site.was_given("model-1")


def test_what_a_site_stores_is_bounded(sites: Sites, clock: Clock) -> None:
    site = sites.register("one", "site-1", {})
    sizes = [size for size in [1 << 20] * 100 if site.may_store(size)]
    assert len(sizes) == MAX_STORED_BYTES // (1 << 20) - 1
    assert sites.register("other", "site-2", {}).may_store(1 << 20)
    clock.now += 60
    assert site.may_store(1 << 20)


def test_reports_are_told_once_and_are_few(sites: Sites) -> None:
    site = sites.register("one", "site-1", {})
    for number in range(100):
        site.report("the same")
        site.report(f"number {number}")
    assert len(sites.take_reports()["site-1"]) == 5
    assert sites.take_reports() == {}


def with_token(token: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", **more}


@pytest.fixture
def tokens() -> Sites:
    return Sites(claims=token_claims(SECRET))


def test_a_token_says_which_site_it_is(tokens: Sites) -> None:
    token = make_token(SECRET, "client", 1, "bank-a")
    name, client_id = site_claims(token) or ("", "")
    assert name == "bank-a"
    assert tokens.register(client_id, name, with_token(token)).name == "bank-a"
    site, connection = tokens.caller(
        with_token(token, client=client_id, **{"fednkit-connection": "7"}), "ipv4:proxy"
    )
    assert (site.name, site.client_id, connection) == ("bank-a", client_id, "7")
    for other in (("other", name), (client_id, "bank-b")):
        with pytest.raises(RefusedCall, match="the token is for the site bank-a"):
            tokens.register(*other, with_token(token))
    with pytest.raises(RefusedCall, match=f"expected client_id {client_id}, found 'other'"):
        tokens.caller(with_token(token, client="other"), "ipv4:proxy")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "Missing token"),
        (with_token("x.y.z"), "Invalid token"),
        (with_token(make_token(SECRET[::-1], "client", 1, "a")), "Invalid token"),
        (with_token(make_token(SECRET, "client", -1, "a")), "Token expired"),
        (with_token(make_token(SECRET, "admin", 1)), "expected a token of the role client"),
        (with_token(make_token(SECRET, "client", 1)), "the token names no site"),
        (
            with_token(jwt.encode({"role": "client", "site": 1, "client_id": []}, SECRET)),
            "the token names no site",
        ),
        (with_token(jwt.encode({"role": "client"}, "", algorithm="none")), "Invalid token"),
    ],
)
def test_another_token_is_none(tokens: Sites, metadata: Mapping[str, Any], words: str) -> None:
    with pytest.raises(RefusedCall, match=words):
        tokens.caller(metadata, "ipv4:proxy")


def test_behind_a_proxy_without_numbers_a_second_stream_waits(tokens: Sites) -> None:
    token = with_token(make_token(SECRET, "client", 1, "bank-a"))
    site, connection = tokens.caller(token, "ipv4:proxy")
    first = Stream()
    tokens.connect(site, connection, first)
    with pytest.raises(RefusedCall, match="is connected"):
        tokens.connect(site, connection, Stream())
    first.cancel()
    tokens.connect(site, connection, Stream())
