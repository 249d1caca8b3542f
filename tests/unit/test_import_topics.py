"""Topic filters of an import: what they share, and how several become subscriptions of which no two bring a message twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.config.mqtt_text import overlaps
from iiot_gateway.telegraf import topics

LEVELS = ["a", "b", "+"]
filters = st.tuples(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=4), st.booleans()).map(
    lambda drawn: "/".join([*drawn[0], *(["#"] if drawn[1] else [])])
)
concrete = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5).map("/".join)


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether a topic matches, level by level."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)


@given(one=filters, other=filters, topic=concrete)
def test_what_two_filters_share_is_a_filter(one: str, other: str, topic: str) -> None:
    """Its topics are those that match both."""
    both = topics.common(one, other)

    assert (both is not None and matches(both, topic)) == (matches(one, topic) and matches(other, topic))
    assert topics.covers(one, other) <= (not matches(other, topic) or matches(one, topic))
    assert overlaps(one, other) == (both is not None)


@given(given_filters=st.lists(filters, min_size=1, max_size=5), topic=concrete)
def test_subscriptions_take_all_topics_and_none_twice(given_filters: list[str], topic: str) -> None:
    """Whatever the filters have in common."""
    found = topics.subscriptions(given_filters)

    count = sum(matches(topic_filter, topic) for topic_filter in found)
    assert count <= 1
    assert count == 1 or not any(matches(topic_filter, topic) for topic_filter in given_filters)
    assert not any(overlaps(one, other) for place, one in enumerate(found) for other in found[place + 1 :])


@given(given_filters=st.lists(filters, min_size=1, max_size=5), topic=concrete)
def test_the_widest_filters_have_the_topics_of_all(given_filters: list[str], topic: str) -> None:
    """Those that others cover are not needed."""
    found = topics.widest(given_filters)

    assert any(matches(one, topic) for one in found) == any(matches(one, topic) for one in given_filters)


def test_a_shared_subscription_is_joined_by_its_topics() -> None:
    """The group stands before the filter, and is kept where nothing has to be joined."""
    assert topics.subscriptions(["$share/g/a/+", "b"]) == ["$share/g/a/+", "b"]
    assert topics.subscriptions(["$share/g/a/+", "a/b"]) == ["$share/g/a/+"]
    assert topics.subscriptions(["a/+", "+/b"]) == ["+/+"]
