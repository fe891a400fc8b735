"""The bounds of the edge alone; those that other parts respect too are in `engine.limits`.

Owns no behaviour. Every limit has its unit in its name.
"""

from typing import Final

# Sockets
MAX_SOCKETS: Final = 20_000
"""Websocket connections of one gateway; the next gets HTTP 503."""
MAX_SOCKETS_PER_ADDRESS: Final = 1_000
"""Of these, from one address: a school behind one address may buy, one machine not crowd out."""
CROWD_LOG_S: Final = 60.0
"""That an address is refused for its number of connections is logged this often at most."""
HELLO_TIMEOUT_S: Final = 10.0
"""A connection that has not said who it is by then is closed."""
HEARTBEAT_S: Final = 20.0
"""A silent peer is pinged this often, and dropped when it does not answer within half of it."""
IDLE_TIMEOUT_S: Final = 30 * 60.0
"""A buyer's connection that sends no frame for this long is closed; "ping" counts."""
SILENCE_TICK_S: Final = 5.0
CLOSE_S: Final = 2.0
"""How long a peer has to answer the close frame."""
MAX_WATCHES_PER_SOCKET: Final = 64
MAX_HOLDS_PER_SOCKET: Final = 256
"""Holds whose end one connection is told about; the oldest is forgotten first."""
MAX_UNANSWERED_PER_SOCKET: Final = 1_000
"""Commands of one connection that wait for their reply; beyond, they are shed as "busy"."""

# What waits to be sent to one connection
LAG_BYTES: Final = 128 * 1024
"""A reader this far behind gets no more deltas, but the latest snapshot once it caught up."""
PAUSE_BYTES: Final = 512 * 1024
"""A reader this far behind is not read from until it caught up."""
MAX_UNSENT_BYTES: Final = 4 * 1024 * 1024
"""A reader this far behind is cut off."""
MAX_STALL_S: Final = 20.0
"""A reader that stays over PAUSE_BYTES for this long is cut off."""
CATCH_UP_TICK_S: Final = 0.1
"""How often lagging readers are looked at."""

# Commands per connection: a token bucket
BUYER_COMMANDS_PER_S: Final = 50.0
BUYER_BURST_COMMANDS: Final = 100.0
STAFF_COMMANDS_PER_S: Final = 500.0
STAFF_BURST_COMMANDS: Final = 1_000.0
MAX_MALFORMED_FRAMES: Final = 20
"""Frames of one connection that are not what this protocol says; then it is closed."""
MAX_RATE_DEBT_COMMANDS: Final = 1_000.0
"""Frames sent over the rate, beyond what refills: then the connection is closed."""

# Batches
MAX_QUEUES: Final = 4_096
"""Performances with commands waiting at once in one gateway."""
RETRY_FOR_S: Final = 15.0
"""A batch that fails is sent again, with the same ids, for this long; then it is shed."""
RETRY_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
"""Pauses between those attempts; the last one repeats."""
SUBMIT_TIMEOUT_S: Final = 10.0
"""A batch that is not answered by then counts as failed, and is sent again."""
SHED_RETRY_MS: Final = 1_000
UNKNOWN_PERFORMANCE_S: Final = 2.0
"""How long "there is no such performance" is believed."""
MAX_UNKNOWN_PERFORMANCES: Final = 10_000

# Feeds
PUBLIC_PATIENCE_S: Final = 0.5
"""A database that does not say by then whether it is leaves what was known."""
PUBLIC_CHECK_S: Final = 2.0
"""How often it is asked whether a performance that is watched is still public."""
MAX_FEEDS: Final = 4_096
"""Performances watched at once by one gateway."""
FEED_LINGER_S: Final = 30.0
"""A feed that nobody watches is kept this long."""
WATCH_TIMEOUT_S: Final = 20.0
"""A long-poll that is not answered by then has failed; it should answer within 5 s."""
FEED_LIVE_S: Final = 12.0
"""A feed heard of within this time is live: what it says of sold seats may refuse a hold."""
FAN_OUT_CHUNK_SENDS: Final = 200
"""Watchers served before other work gets its turn."""
FAN_OUT_REST: Final = 0.25
"""Of the time that a change took to reach everybody: the pause before the next."""
MAX_RECENT_BYTES: Final = 64 * 1024
"""Deltas kept per feed, for watchers that come back after a short absence."""

# Waiting rooms
EXCHANGE_TIMEOUT_S: Final = 5.0
FIRST_EXCHANGE_S: Final = 3.0
"""A starting gateway waits this long for the rooms' writer before it serves."""
ROOM_TICK_S: Final = 1.0
"""How often everybody in a room is told how it stands."""
MAX_QUEUES_PER_SOCKET: Final = 8
"""Rooms in which one connection stands."""
LATENCY_WINDOWS: Final = 4
"""Reports whose answering times make up the percentile that admission follows."""
CENSUS_S: Final = 2.0
"""How old the number of tickets sold may be where places have no seats."""
MAX_CACHED_ROOM_LOGS: Final = 4
"""Compressed; that of a hundred thousand visitors is about 4 MB."""
ROOM_LOG_CACHE_S: Final = 2.0
MAX_ROOM_LOG_LOADS: Final = 1
"""Logs read and written out at once."""

# Who is there
SESSION_LIFE_S: Final = 7 * 24 * 3600
"""Life of an anonymous buyer's session token; renewed at half of it."""
OPERATOR_LIFE_S: Final = 12 * 3600
"""Life of an operator's login."""
IDENTITY_CACHE_S: Final = 2.0
"""How long a checked token is believed: a revoked one is refused after that at the latest."""
REVOCATION_CHECK_S: Final = 2.0
"""How often the tokens of open connections are checked again."""
MAX_CACHED_IDENTITIES: Final = 10_000

MAX_WAITING_ACTS: Final = 10_000
"""Operators' acts waiting to be written to the audit log."""
MAX_ACTS_AT_ONCE: Final = 500
AUDIT_RETRY_S: Final = 0.5

# Sales at once
MAX_SALES: Final = 2_000
"""Sales of one gateway under way; the next is shed as "busy"."""

# Addresses
MAX_REMEMBERED_ADDRESSES: Final = 20_000
"""Addresses whose sessions and guesses are remembered; the longest unseen is forgotten first."""
SESSIONS_PER_ADDRESS: Final = 1_000.0
"""New anonymous sessions that one address may have at once ..."""
SESSIONS_PER_ADDRESS_PER_S: Final = 2.0
"""... and how many more with time."""
BAD_TOKENS_PER_ADDRESS: Final = 100.0
"""Operators' and devices' tokens that nobody has, from one address at once ..."""
BAD_TOKENS_PER_ADDRESS_PER_S: Final = 0.2
"""... and with time; beyond, only tokens known to be good are served."""

# Logins
MIN_PASSWORD_CHARS: Final = 8
MAX_PASSWORD_CHARS: Final = 200
PASSWORD_THREADS: Final = 2
"""Passwords verified at once: each costs 64 MiB and about 50 ms of a core."""
MAX_WAITING_LOGINS: Final = 32
FREE_LOGIN_FAILURES_PER_NAME: Final = 5
FREE_LOGIN_FAILURES_PER_ADDRESS: Final = 20
LOGIN_PENALTY_S: Final = 2.0
"""Wait after the first failure beyond the free ones; it doubles with each further one."""
MAX_LOGIN_PENALTY_S: Final = 300.0
LOGIN_MEMORY_S: Final = 900.0
"""Failures are forgotten after this long without another."""
MAX_REMEMBERED_LOGINS: Final = 10_000

# Devices
ENROLMENT_LIFE_S: Final = 15 * 60
"""How long the code that a device enrols with is good; it is good once."""
FREE_ENROLMENT_FAILURES_PER_ADDRESS: Final = 10
"""Then each further wrong code doubles a wait, as wrong passwords do."""

# HTTP
MAX_HTTP_CONNECTIONS: Final = 12_000
"""Besides the websockets; the next is closed unheard."""
MAX_HTTP_CONNECTIONS_PER_ADDRESS: Final = 1_000
KEEPALIVE_S: Final = 30.0
"""An HTTP connection without a whole request's head for this long is closed."""
MAX_WEB_BYTES: Final = 16 * 1024 * 1024
"""All files of the web pages together; they are kept in memory."""
MAX_PACKED_FILES: Final = 256
"""Packed files that are remembered for the next application of the same process."""
READY_TIMEOUT_S: Final = 3.0
STATUS_TIMEOUT_S: Final = 3.0
"""Without an answer by then there is none: what is behind the edge is dead."""
STATUS_CACHE_S: Final = 1.0
"""However many watch, the actors are asked for their figures this seldom."""
MAX_JSON_BYTES: Final = 256 * 1024
"""Body of any request but a seating plan."""
MAX_SEATS_KEPT_AT_ONCE: Final = 15_000
"""Seats that one request keeps or gives back: five bytes each, they fit into a batch."""
MAX_JSON_NUMBER: Final = 2**53
"""What every reader of JSON takes for the same number."""
MAX_HOUSE_BYTES: Final = 1024 * 1024
"""The house's look, its logo included."""
BODY_TIMEOUT_S: Final = 30.0
MAX_ROWS_PER_PAGE: Final = 200
DEFAULT_ROWS_PER_PAGE: Final = 50
MAX_LEDGER_RECORDS: Final = 5_000
MAX_LEDGER_PERIODS: Final = 400
"""In one answer, as many as the database gives at once."""
HOUSE_CACHE_S: Final = 5.0
CATALOGUE_CACHE_S: Final = 1.0
"""How old a list of performances, or one of them, may be."""
SOLD_CACHE_S: Final = 5.0
"""How old the numbers of places sold in the list of performances may be."""
MAX_CACHED_PERFORMANCES: Final = 1_000
PUBLIC_PAST_S: Final = 12 * 3600
"""Performances that began longer ago are not in the public list."""
STAFF_PAST_S: Final = 31 * 24 * 3600
MAX_TOLD_AT_ONCE: Final = 4
"""Performance actors that are told of a changed programme at once: each may have to start."""
MAX_WARMED_PLANS: Final = 4
"""Plans of the coming performances that a starting gateway packs before anybody asks."""
MAX_CACHED_PLANS: Final = 8
MAX_CACHED_PLAN_VIEWS: Final = 64
"""Compressed; the view of a 40,000-seat stadium is about half a megabyte."""
MAX_PLAN_LOADS: Final = 1
"""Plans read or compressed at once; each keeps a core busy."""
MAX_SEATS_FOUND: Final = 50
"""Seats that a search text such as "B 12" may mean."""
PDF_THREADS: Final = 2
MAX_WAITING_PDFS: Final = 64
MAX_EXPORTS: Final = 2
"""Lists of places written at once; each keeps a processor busy and a process alive."""
EXPORT_PAGE_ROWS: Final = 1_000
"""Rows read at once of what is exported; between pages others get their turn."""
EXPORT_RETRY_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0)
"""Before a page of what is exported is asked for again: minutes of a file end with no hiccup."""
FILE_PART_BYTES: Final = 256 * 1024
"""Read and sent at once of a file that was written first."""
MAX_FILTER_VALUES: Final = 50
"""Of one filter of the list of places."""
MAX_FILTERED_PERFORMANCES: Final = 500
MAX_GUESTS_IN_SHEET: Final = 300_000
"""Guests in one spreadsheet: more than the largest house has."""
MAX_GUESTS_ON_PAPER: Final = 10_000
"""Guests in one PDF: more than 350 pages are not for people."""
MAX_MARKED_TICKETS: Final = 500
"""Tickets marked in one request."""
STOP_S: Final = 5.0
"""How long a stopping gateway waits for answers still under way."""
