"""What a Redis URL says, and what is said of one that cannot be used."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recyclic.config import Config
from recyclic.errors import ConfigError
from recyclic.redis_url import RedisUrl, without_password

THREE = (("a", 1), ("b", 26379), ("::1", 3))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", RedisUrl("standalone", False, (), None, None, "", 0)),
        ("redis://host", RedisUrl("standalone", False, (("host", 6379),), None, None, "", 0)),
        ("rediss://me:s%2Fe@host:1/3?x=1", RedisUrl("standalone", True, (("host", 1),), "me", "s/e", "", 3)),
        ("unix:///run/redis.sock", RedisUrl("standalone", False, (), None, None, "", 0)),
        ("unix://:s%2Fe@/run/redis.sock?db=2", RedisUrl("standalone", False, (), None, "s/e", "", 0)),
        ("redis+sentinel://a:1,b,[::1]:3/shop", RedisUrl("sentinel", False, THREE, None, None, "shop", 0)),
        ("rediss+sentinel://:p@a:1,b,[::1]:3/my%20shop/4", RedisUrl("sentinel", True, THREE, None, "p", "my shop", 4)),
        ("redis+cluster://a:1,b:2", RedisUrl("cluster", False, (("a", 1), ("b", 2)), None, None, "", 0)),
        ("rediss+cluster://u:p@a/0", RedisUrl("cluster", True, (("a", 6379),), "u", "p", "", 0)),
    ],
)
def test_url_is_taken_apart(url: str, expected: RedisUrl) -> None:
    """Topology, TLS, hosts with their default ports, credentials, the master's name, the database."""
    assert RedisUrl.read(url) == expected


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("host:6379", ["not a URL", "write redis://host:6379/0"]),
        ("reddis://host", ["reddis:// is no way to a Redis", "did you mean redis?"]),
        ("redis+sentinels://a/shop", ["did you mean redis+sentinel?"]),
        ("redis://host:port/0", ["host 1 cannot be used", "1 to 65535"]),
        ("redis://host:70000", ["host 1 cannot be used"]),
        ("redis://a,b", ["redis:// takes one host"]),
        ("redis://host/first", ["the database is not a number"]),
        ("redis+sentinel://a,,b:x/shop", ["host 2 cannot be used", "host 3 cannot be used"]),
        ("redis+sentinel://a,b", ["name under which the Sentinels know the master is missing"]),
        ("redis+sentinel://a,b/0", ["name under which the Sentinels know the master is missing"]),
        ("redis+sentinel:///shop", ["no host is named"]),
        ("redis+sentinel://a/shop?ssl=yes", ["takes no ?options"]),
        ("redis+cluster://a,b/3", ["a Cluster has no databases but 0"]),
        ("redis+cluster://", ["no host is named"]),
        ("redis://:se/cret@host", ["the password holds a character", "/ as %2F"]),
    ],
)
def test_url_that_cannot_be_used_is_told_with_the_place_and_the_remedy(url: str, says: list[str]) -> None:
    """Everything that is wrong with it, together."""
    with pytest.raises(ConfigError) as caught:
        Config.build(redis={"url": url})
    for text in says:
        assert text in str(caught.value)
    assert all("[redis] url" in problem.where and problem.remedy for problem in caught.value.problems)


@given(
    scheme=st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "redis+cluster", "gopher"]),
    secret=st.text(st.sampled_from("x:/?#@,[]%2F0"), max_size=12).map(lambda text: f"{text}hush{text}"),
    place=st.sampled_from(["host", "host:port", "a,b:x", "", "a,b/shop/0", "h/0"]),
)
@example(scheme="redis", secret="hush,hush", place="")
def test_password_is_never_told(scheme: str, secret: str, place: str) -> None:
    """Whatever it holds and whatever else is wrong: neither in an error nor where a server is named."""
    for url in (f"{scheme}://:{secret}@{place}", f"{scheme}://me:{secret}@{place}", f"{scheme}://:{secret}"):
        assert "hush" not in told_of(url)
    assert "hush" not in without_password(f"{scheme}://me:{secret}@{place}?password={secret}")


def told_of(url: str) -> str:
    try:
        return repr(Config.build(redis={"url": url}))
    except ConfigError as error:
        return str(error)


@pytest.mark.parametrize(
    ("redis", "where"),
    [
        ({"url": "redis://h", "tls_ca": "ca.pem"}, "tls_ca"),
        ({"tls_cert": "ca.pem"}, "tls_cert"),
        ({"url": "rediss://h", "tls_key": "key.pem"}, "tls_key"),
        ({"url": "redis+cluster://h", "sentinel_password": "x"}, "sentinel_password"),
    ],
)
def test_setting_without_effect_is_refused(redis: dict[str, str], where: str) -> None:
    """Whoever names an authority means to be on TLS."""
    with pytest.raises(ConfigError) as caught:
        Config.build(redis=redis)
    assert f"[redis] {where}" in str(caught.value)


def test_files_are_relative_to_the_configuration(tmp_path) -> None:
    """As every path in it; an empty one names none."""
    file = tmp_path / "config.toml"
    file.write_text('[redis]\nurl = "rediss://h"\ntls_ca = "ca.pem"\ntls_cert = ""\n')
    redis = Config.load(file, {}).redis
    assert (redis.tls_ca, redis.tls_cert) == (tmp_path / "ca.pem", None)
