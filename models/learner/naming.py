"""Names in plain words, from how a segment's centroid contrasts with the population.

A contrast is (centroid - mean) / deviation of the population, per feature, in the scaled space. Every word of a name
is backed by a contrast of at least BACKED deviations; names are distinct; the segment that spends most says so;
and a name stays as long as its words are still backed, so that people can get used to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from models.learner.phrases import ADJECTIVES, DEFAULT_NOUN, EVIDENCE, NOUNS, PLAIN_NAME, Phrase, Raw, spelled_out
from models.transform import Floats

BACKED = 0.55
"""The least contrast of a centroid, in standard deviations, that backs a word. What is claimed should be half a one
among the members, some of whom the margin holds though they are nearer to another centroid."""

LISTED = 0.65
"""The least contrast that is listed beside a name: it is judged by a sample, and more of them are claimed (at a margin
of .15 one of .58 was .49 among CDNOW's members)."""

FIRM = 0.58
"""The least contrast for a word of a *new* name, so that a centroid that moves a little still backs it."""

LEEWAY = 1.25
"""What a new word says of the raw centroid must hold of so many times the amounts, and of as much less, too."""

WORDS_MAX = 5
"""Contrasts listed beside a name."""

CONTRASTS_MAX = 3

STRENGTH_MAX = 2.5
"""Past this a contrast is no better a reason for a word; else one extreme feature would name everything."""

MOST = "spend_hl180d"
"""The segment that has most of it, by a contrast that backs a word, says so in its name."""

TRACE = 1e-6
"""Less than this of something in every segment, and the shop does not record it."""

NAME_LENGTH_MAX = 77
"""A record allows 80; three are for a number."""

WORD_LENGTH_MAX = 66
"""A snapshot allows 80 for a contrast; the rest is for its figure."""

ADJECTIVES_MAX = 6
NOUNS_MAX = 8
"""The strongest are combined: some 200 names to choose from, where all would be thousands."""

ADJECTIVE_COST = (0.0, 1.0, 2.6)
"""What a name of 0, 1 or 2 adjectives must gain from them: short names unless the words are worth it."""


@dataclass(frozen=True, slots=True)
class Named:
    """A segment's name and the contrasts it stands on, strongest first, like "spend: +1.4 sd"."""

    name: str
    words: tuple[str, ...]
    contrasts: tuple[tuple[str, float], ...]
    """Feature and contrast, the CONTRASTS_MAX strongest."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """What can be said of one segment."""

    contrasts: Mapping[str, float]
    raw: Raw
    nouns: tuple[Phrase, ...]
    most: bool = False
    """Whether it has the most of MOST."""

    def backs(self, phrase: Phrase, least: float = BACKED) -> bool:
        """Say whether all contrasts of a phrase are there by `least` deviations, and the amounts it speaks of."""
        return all(
            abs(value) >= least if direction == 0 else value * direction >= least
            for value, direction in ((self.contrasts.get(name, 0.0), sign) for name, sign in phrase.needs)
        ) and (phrase.holds is None or phrase.holds(self.raw))

    def backs_firmly(self, phrase: Phrase) -> bool:
        """Say whether it would still be backed if the segment moved a little."""
        return self.backs(phrase, FIRM) and (
            phrase.holds is None or all(phrase.holds(_scaled(self.raw, by)) for by in (1 / LEEWAY, LEEWAY))
        )

    def strength(self, phrase: Phrase) -> float:
        """Rank phrases that are backed: the mean of what they claim, deviations, and more for more claims."""
        values = [min(abs(self.contrasts[name]), STRENGTH_MAX) for name, _ in phrase.needs]
        # A claim on two features says more than either alone.
        return sum(values) / len(values) + 0.35 * (len(values) - 1) - phrase.handicap if values else 0.0


def _scaled(raw: Raw, by: float) -> Raw:
    """Scale the amounts; days stay, because what they say is not proportional to them."""
    return {name: value if name.startswith("days_") else value * by for name, value in raw.items()}


def contrasts(centroids: Floats, mean: Floats, deviation: Floats) -> Floats:
    """(k, F) contrasts of (k, F) centroids with a population of (F,) mean and deviation; 0 where it has no spread."""
    spread = deviation > 1e-9
    result: Floats = np.where(spread, (centroids - mean) / np.where(spread, deviation, 1.0), 0.0)
    return result


def name_all(
    features: Sequence[str],
    contrast: Floats,
    raw: Floats,
    old_names: Sequence[str | None],
    plain_words: Mapping[str, str],
) -> list[Named]:
    """Name k segments by their (k, F) contrasts and (k, F) raw centroids; `old_names` holds None where there is none.

    Old names are kept first, where they are still true, distinct, and say what must be said; then the segments that
    stand out most choose first.
    `plain_words` says how a feature is called in the list of words; without an entry, by its name.
    """
    nouns = (*NOUNS, *spelled_out(features))
    contrast = _recorded(features, contrast, raw)
    most = int(contrast[:, features.index(MOST)].argmax()) if MOST in features else None
    portraits = [
        Portrait(dict(zip(features, row, strict=True)), dict(zip(features, values, strict=True)), nouns, at == most)
        for at, (row, values) in enumerate(zip(contrast.tolist(), raw.tolist(), strict=True))
    ]
    names: dict[int, str] = {}
    for index, old in enumerate(old_names):
        if old is not None and old not in names.values() and _still_good(old, portraits[index]):
            names[index] = old
    ranked = {index: sorted(_candidates(portraits[index])) for index in range(len(portraits)) if index not in names}
    for index in sorted(ranked, key=lambda index: (ranked[index][0], index)):
        names[index] = _first_free([name for _, name in ranked[index]], set(names.values()))
    return [
        Named(names[index], _words(names[index], portrait, plain_words), tuple(_strong(portrait)[:CONTRASTS_MAX]))
        for index, portrait in enumerate(portraits)
    ]


def _recorded(features: Sequence[str], contrast: Floats, raw: Floats) -> Floats:
    """(k, F) contrasts without those of ratios whose parts the shop does not record: they say something else."""
    known = {name: float(raw[:, column].max()) > TRACE for column, name in enumerate(features)}
    told = np.array([all(known.get(part, True) for part in EVIDENCE.get(name, ())) for name in features])
    found: Floats = np.where(told, contrast, 0.0)
    return found


def _candidates(portrait: Portrait) -> Iterator[tuple[float, str]]:
    """Yield true names as (-score, name), made of the strongest phrases; the plain one where there is none."""
    # Firmly backed words first: with none of them, those that are just backed.
    for backs in (portrait.backs_firmly, portrait.backs):
        adjectives = _strongest(portrait, filter(backs, ADJECTIVES), ADJECTIVES_MAX)
        nouns = _strongest(portrait, filter(backs, portrait.nouns), NOUNS_MAX)
        if adjectives or nouns:
            break
    musts = _musts(portrait)
    nouns = list(musts) or nouns
    # They stand in a name in the order of the table.
    adjectives.sort(key=ADJECTIVES.index)
    strength = {phrase: portrait.strength(phrase) for phrase in (*adjectives, *nouns, DEFAULT_NOUN)}
    if not adjectives and not nouns:
        yield 0.0, PLAIN_NAME
    for noun in musts or (DEFAULT_NOUN, *nouns):
        for size, cost in enumerate(ADJECTIVE_COST):
            for chosen in combinations(adjectives, size):
                phrases = (*chosen, noun)
                name = " ".join(phrase.text for phrase in phrases)
                if phrases != (DEFAULT_NOUN,) and len(name) <= NAME_LENGTH_MAX and not _repeats_a_topic(phrases):
                    yield cost - sum(strength[phrase] for phrase in phrases), name


def _musts(portrait: Portrait) -> tuple[Phrase, ...]:
    """Nouns one of which must stand in the name; none if that is left free."""
    return tuple(noun for noun in NOUNS if (MOST, 1) in noun.needs and portrait.backs(noun)) if portrait.most else ()


def _still_good(name: str, portrait: Portrait) -> bool:
    phrases, musts = read_back(name, portrait), _musts(portrait)
    return phrases is not None and (not musts or not set(musts).isdisjoint(phrases))


def _strongest(portrait: Portrait, phrases: Iterable[Phrase], most: int) -> list[Phrase]:
    """Backed phrases, strongest first, one of each text, `most` at most."""
    ranked = sorted(phrases, key=portrait.strength, reverse=True)
    by_text: dict[str, Phrase] = {}
    for phrase in ranked:
        by_text.setdefault(phrase.text, phrase)
    return list(by_text.values())[:most]


def _repeats_a_topic(phrases: Sequence[Phrase]) -> bool:
    return sum(len(phrase.topics) for phrase in phrases) > len(frozenset[str]().union(*(p.topics for p in phrases)))


def _first_free(names: Sequence[str], taken: set[str]) -> str:
    """Take the first name not taken; when the language ends, number the first."""
    for name in names:
        if name not in taken:
            return name
    number = 2
    while f"{names[0]} {number}" in taken:
        number += 1
    return f"{names[0]} {number}"


def read_back(name: str, portrait: Portrait) -> tuple[Phrase, ...] | None:
    """Read a name back into phrases that are all backed now; None if one is not, or is no phrase of ours."""
    text = re.sub(r" \d+$", "", name)
    if text == PLAIN_NAME:
        return None if any(map(portrait.backs, (*ADJECTIVES, *portrait.nouns))) else ()
    adjectives = {phrase.text: phrase for phrase in reversed(ADJECTIVES) if portrait.backs(phrase)}
    for noun in (DEFAULT_NOUN, *portrait.nouns):
        if not (text == noun.text or text.endswith(f" {noun.text}")) or not portrait.backs(noun):
            continue
        before = text[: -len(noun.text)].split()
        if (before or noun.needs) and all(word in adjectives for word in before):
            return (*(adjectives[word] for word in before), noun)
    return None


def _strong(portrait: Portrait) -> list[tuple[str, float]]:
    """List the contrasts that are sure to be the members' own, strongest first."""
    strong = [(name, value) for name, value in portrait.contrasts.items() if abs(value) >= LISTED]
    return sorted(strong, key=lambda each: (-abs(each[1]), each[0]))


def _words(name: str, portrait: Portrait, plain_words: Mapping[str, str]) -> tuple[str, ...]:
    """List the contrasts the name stands on, then the other strong ones."""
    claimed = [need for phrase in read_back(name, portrait) or () for need, _ in phrase.needs]
    others = [name for name, _ in _strong(portrait)]
    backed = [name for name in claimed if abs(portrait.contrasts[name]) >= BACKED]
    strong = dict.fromkeys((*backed, *others))
    return tuple(
        f"{plain_words.get(name, name)[:WORD_LENGTH_MAX]}: {portrait.contrasts[name]:+.1f} sd"
        for name in list(strong)[:WORDS_MAX]
    )
