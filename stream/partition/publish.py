"""What a published row says elsewhere: the Redis record and the change event, both read from the row alone.

Reading them from the row, never recomputing them, is what makes a re-send after a crash identical to the first send.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from models.chances import NAMES as CHANCE_NAMES
from models.chances import unpacked
from models.columns import COL
from models.judge import NAME_BITS, NO_SEGMENT, REASONS
from models.standing import CHANCES, spelled
from models.why import unpack
from schemas.record import WARMING_UP
from schemas.redis_keys import segment_key
from stream.redis_view.view import Record

CARTS = ("none", "open", "abandoned")
"""Words for the column `cart_state`."""
_NAME_MASK = (1 << NAME_BITS) - 1


class _Standings(dict[int, tuple[str, ...]]):
    """Fields of each standing that was met: there are at most 756."""

    def __missing__(self, standing: int) -> tuple[str, ...]:
        lifecycle, rfm = spelled(standing)
        fields = (("lifecycle", lifecycle), ("rfm", rfm))
        found = self[standing] = tuple(text for name, value in fields if value for text in (name, value))
        return found


_STANDING = _Standings()


def _chances(packed: int) -> list[str]:
    """Fields of the probabilities that are known."""
    if not packed:
        return []
    said = zip(CHANCE_NAMES, unpacked(packed), strict=True)
    return [text for name, chance in said if chance is not None for text in (name, f"{chance:.3f}")]


def changes(ids: Sequence[str], rows: NDArray[np.float64], names: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Return `(key, value)` of topic segment-changes for the last change of each row.

    The value is the JSON of `schemas.change.SegmentChanged`; a test holds the two together.
    """
    columns = (COL.ver, COL.change_epoch, COL.previous, COL.segment, COL.names, COL.change_reason, COL.change_model)
    why = rows[:, COL.change_why].astype(np.int64).tolist()
    out = []
    said = rows[:, (*columns, COL.since)].astype(np.int64).tolist()
    for customer, because, (ver, epoch, previous, current, packed, reason, model, since) in zip(
        ids, why, said, strict=True
    ):
        value = {
            "id": f"{customer}:{ver}",
            "customer_id": customer,
            "ver": ver,
            "epoch": epoch,
            "previous": None if previous == NO_SEGMENT else previous,
            "current": current,
            # A segment that the model no longer remembers has no name but its id.
            "previous_name": WARMING_UP
            if previous == NO_SEGMENT
            else names[packed >> NAME_BITS] or f"segment {previous}",
            "current_name": names[packed & _NAME_MASK] or f"segment {current}",
            "reason": REASONS[reason],
            "why": [names[feature] for feature in unpack(because)],
            "model": model,
            "event_time": since,
        }
        out.append((customer.encode(), orjson.dumps(value)))
    return out


def records(ids: Sequence[str], rows: NDArray[np.float64], names: Sequence[str]) -> list[Record]:
    """Return the Redis record of each row, as `schemas.record.SegmentRecord.to_hash` spells it; a test compares."""
    columns = (COL.rev, COL.ver, COL.segment, COL.names, COL.since, COL.cart_state, COL.as_of, COL.change_model)
    said = rows[:, columns].astype(np.int64).tolist()
    confidences = rows[:, COL.confidence].tolist()
    standings = rows[:, COL.standing].astype(np.int64).tolist()
    out: list[Record] = []
    for customer, confidence, standing, (rev, ver, segment, packed, since, cart, as_of, model) in zip(
        ids, confidences, standings, said, strict=True
    ):
        known = segment != NO_SEGMENT
        out.append(
            (
                segment_key(customer),
                rev,
                "segment",
                str(segment) if known else "",
                "name",
                (names[packed & _NAME_MASK] or f"segment {segment}") if known else WARMING_UP,
                "since",
                str(since),
                "cart",
                CARTS[cart],
                "confidence",
                f"{confidence:.2f}",
                "as_of",
                str(as_of),
                "model",
                str(model),
                "ver",
                str(ver),
                "rev",
                str(rev),
                *_STANDING[standing % CHANCES],
                *_chances(standing // CHANCES),
            )
        )
    return out
