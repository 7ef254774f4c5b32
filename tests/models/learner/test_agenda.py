"""When a learner has long work to do, and with which vectors."""

from __future__ import annotations

from models.learner.agenda import CHALLENGE_MIN, PATIENCE_MAX, UNREST_LOOKS, Agenda
from models.learner.config import LearnerConfig

CONFIG = LearnerConfig(("a", "b"), 3)
EVERY = CONFIG.challenge_every


def looks(agenda: Agenda, first: int, last: int, *, adopted: bool = False) -> list[tuple[str, int, int]]:
    """(reason, vectors seen, vectors used) of everything that is due, looked at after every vector."""
    found = []
    for seen in range(first, last):
        planned = agenda.next(seen, None)
        if planned is not None:
            found.append((planned[0], seen, planned[1]))
            agenda.done(planned[0], seen, adopted=adopted)
    return found


def test_what_was_challenged_in_vain_is_challenged_ever_more_rarely() -> None:
    found = looks(Agenda(CONFIG), 0, 30 * EVERY)
    assert [seen for _, seen, _ in found][:4] == [EVERY, 3 * EVERY, 7 * EVERY, (7 + PATIENCE_MAX) * EVERY]
    assert {(reason, used) for reason, seen, used in found if seen > CONFIG.window} == {("challenge", CONFIG.window)}


def test_a_model_that_keeps_losing_is_challenged_each_time() -> None:
    found = looks(Agenda(CONFIG), 0, 5 * EVERY, adopted=True)
    assert [seen for _, seen, _ in found] == [EVERY, 2 * EVERY, 3 * EVERY, 4 * EVERY]


def test_after_an_alarm_there_are_eight_looks_at_what_came_since_and_at_the_newest_of_it() -> None:
    agenda, at = Agenda(CONFIG), 10_000
    agenda.notice(at)
    # A second alarm while the first is being looked into plans nothing new.
    agenda.notice(at + 300)
    found = looks(agenda, at, at + 20_000)
    drift = [(seen - at, used) for reason, seen, used in found if reason == "drift"]
    assert drift == [(500, 500), (750, 750), *((750 + 1_000 * n, 1_000) for n in range(1, UNREST_LOOKS - 1))]
    # Then as usual, and never with vectors from before the change.
    assert found[UNREST_LOOKS][0] == "challenge"
    assert found[UNREST_LOOKS][1] > at + drift[-1][0]


def test_of_few_customers_nothing_can_be_judged() -> None:
    agenda = Agenda(CONFIG)
    agenda.notice(5_000)
    assert agenda.next(20_000, CHALLENGE_MIN - 1) is None
    assert agenda.next(20_000, CHALLENGE_MIN) == ("drift", CHALLENGE_MIN)


def test_however_short_the_warm_up_a_look_has_enough_vectors() -> None:
    agenda = Agenda(LearnerConfig(("a", "b"), 3, warm_up=50))
    agenda.notice(1_000)
    assert {used for _, _, used in looks(agenda, 1_000, 6_000)} == {CHALLENGE_MIN}
