"""Every bound of the engine, with its unit in its name, in one place.

Owns no behaviour. A bound that another part of the product must respect (a
frame size, a batch size) lives here too, so that one page answers "how much
is too much".
"""

from typing import Final

# Holds
HOLD_MS: Final = 15 * 60_000
"""Default life of a hold, counted from its first seat."""
HOLD_CAP_MS: Final = 2 * 60 * 60_000
"""No hold outlives this, whatever extends it."""
PAYMENT_HOLD_MS: Final = 32 * 60_000
"""Life granted, once, when a hold enters payment: a card page lives 30 minutes at least."""
MAX_PLACES_PER_HOLD: Final = 100
"""Seats and area places in one hold."""
MAX_HOLDS: Final = 50_000
"""Holds alive at once in one performance."""
MAX_HOLDS_PER_HOLDER: Final = 4
"""Holds alive at once for one web session in one performance."""
MAX_EXPIRED_PER_COMMAND: Final = 1_000
"""Holds that one Expire ends; the next batch ends the rest."""
MAX_ALLOCATIONS: Final = 250
"""Allocations alive at once in one performance."""
MAX_KEPT: Final = 100
"""Allocations in the settings of one performance."""
MAX_SEATS_NAMED: Final = 5_000
"""Seats that these name one by one; more are told by section or category."""
MAX_QUOTAS: Final = 200
"""Quotas of one performance."""

# Plans
MAX_SEATS_PER_PLAN: Final = 100_000
MAX_AREAS_PER_PLAN: Final = 1_000
MAX_AREA_CAPACITY: Final = 200_000
MAX_PLAN_BYTES: Final = 32 * 1024 * 1024
"""A plan file, in any format."""
MAX_SEATS_PER_ROW: Final = 2_000
MAX_SECTIONS_PER_PLAN: Final = 2_000
MAX_CATEGORIES_PER_PLAN: Final = 200
MAX_SHAPES_PER_PLAN: Final = 10_000
MAX_POINTS_PER_POLYGON: Final = 2_000
MAX_PLAN_UNITS: Final = 1_000_000
"""Width and height of a house, and any coordinate in it."""
MAX_PLAN_PROBLEMS: Final = 10_000
"""Problems reported of one file; the last one says that there are more."""

# Programmes
MAX_SEASON_PRODUCTIONS: Final = 500
MAX_SEASON_PERFORMANCES: Final = 2_000
"""Of one production in a season file; all of a file must fit into one body besides."""

# Remembered commands (idempotency)
MAX_REMEMBERED_ACCEPTED: Final = 500_000
"""About 600 bytes each."""
MAX_REMEMBERED_REFUSED: Final = 100_000
MAX_SNAPSHOT_ACCEPTED: Final = 20_000
"""Of those, the newest that a snapshot carries over a crash. What is repeated then was in flight,
so it is among these or in the tail; more would make every snapshot slow and large."""
MAX_SNAPSHOT_REFUSED: Final = 5_000

# Feed
MAX_FEED_DELTAS: Final = 2_048
"""Deltas kept for resuming watchers; further behind means a fresh snapshot."""
FEED_TICK_MS: Final = 40
"""A gateway asks for the next colours at most this often."""

# Batches
MAX_BATCH_BYTES: Final = 90_000
"""Commands that one performance decides in one go; more would make everybody else wait."""
MAX_BATCH_COMMANDS: Final = 1_000
MAX_WAITING_COMMANDS: Final = 20_000
"""Commands waiting in a gateway for one performance; beyond, the edge sheds load."""
MAX_UNCOMMITTED_COMMANDS: Final = 50_000
"""Commands decided and not yet committed in one performance; beyond, it refuses as BUSY."""

# Waiting rooms
MAX_ROOMS: Final = 64
"""Rooms that are not closed, at once."""
MAX_ARRIVALS_PER_ROOM: Final = 500_000
"""Whoever comes back after an admission counts again. About 350 bytes each in the writer."""
MAX_VISITORS_PER_EVENT: Final = 3_500
"""18 bytes each: an event stays under 64 KB."""
EXCHANGE_MS: Final = 250
"""A gateway tells and hears of the rooms this often."""
IDLE_EXCHANGE_MS: Final = 1_000
"""The same while there is no room."""
MAX_ARRIVALS_PER_REPORT: Final = 10_000
"""Arrivals of one room that a gateway tells at once; the others wait for its next report."""
MAX_NEWS_EVENTS: Final = 1_024
"""Events of all rooms in one answer to a gateway."""
MAX_NEWS_VISITORS: Final = 50_000
"""Visitors named in those events, more or less: about a megabyte."""
ADMISSION_MS: Final = 10 * 60_000
"""Life of an admission: time to choose. Holding and paying have their own."""

# Doors
UNDO_MS: Final = 2 * 60_000
"""An admission or an exit can be taken back for so long."""
MAX_PASSAGES_PER_TICKET: Final = 1_000
"""Admissions and exits remembered of one ticket; nobody goes in and out that often."""
MAX_KEPT_SCANS: Final = 500_000
"""Scans of one performance that devices made while they were alone. About 120 bytes each."""
MAX_CONFLICTS: Final = 500
"""Double admissions told at once, of the lowest ticket numbers asked for."""
CAPACITY_NEAR_PERCENT: Final = 90
"""From here on a gate's capacity is nearly reached."""

# Edge
MAX_FRAME_BYTES: Final = 16_384
MAX_HTTP_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_TEXT_CHARS: Final = 200
"""Any single free text from a client (names, reasons)."""
