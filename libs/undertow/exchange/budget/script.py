"""The one script that all processes of a fleet run in Redis to share a budget: it is atomic, and touches one key."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Final

from undertow.exchange.budget.bucket import BURST, LEAST_REFILL, Allowance
from undertow.exchange.budget.limits import ENDPOINT_WINDOW_S

KEPT_MS: Final = 3_600_000
"""A budget that nobody asks for is forgotten after an hour."""
_MICRO: Final = 1_000_000

# One hash: `ban` (until), and for each bucket `<name>:level` and `<name>:at`; an endpoint has `<name>:limit` and `<name>:pause` (until)
# besides. Times are microseconds of the server's clock. The address's bucket is called "".
LUA: Final = """
local key, time = KEYS[1], redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local want, floor, ban = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local capacity, rate = tonumber(ARGV[4]), tonumber(ARGV[5])
local endpoint, told, pause = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local share, window, burst, least = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

local function get(name) return tonumber(redis.call('HGET', key, name) or 0) end
local function put(name, value) redis.call('HSET', key, name, string.format('%.6f', value)) end
local function level(name, most, fills)
  local at = get(name .. ':at')
  if at == 0 then return most end
  if at > now then at = now end
  return math.min(most, get(name .. ':level') + (now - at) * fills)
end

local banned = get('ban')
if ban > 0 then
  banned = math.max(banned, now + ban)
  put('ban', banned)
end
if told > 0 and told ~= get(endpoint .. ':limit') then put(endpoint .. ':limit', told) end
local limit, paused = get(endpoint .. ':limit'), get(endpoint .. ':pause')
if pause > 0 then
  paused = math.max(paused, now + pause)
  put(endpoint .. ':pause', paused)
end

local tokens, granted, wait = level('', capacity, rate), 0, 0
local rest = math.max(0, paused - now)
if want > 0 and banned <= now and rest == 0 then
  local own, most, fills = want, 0, 0
  if limit > 0 then
    most = math.max(1, limit * share * burst)
    fills = math.max(limit * share - most, limit * share * least) / window
    own = level(endpoint, most, fills)
    if own < 1 then wait = (1 - own) / fills end
  end
  if tokens < floor + 1 then wait = math.max(wait, (floor + 1 - tokens) / rate) end
  if wait == 0 then
    granted = math.floor(math.min(want, own, tokens - floor))
    tokens = tokens - granted
    if limit > 0 then
      put(endpoint .. ':level', own - granted)
      put(endpoint .. ':at', now)
    end
  end
  put(':level', tokens)
  put(':at', now)
end
redis.call('PEXPIRE', key, ARGV[13])
return {
  granted, math.ceil(wait), math.max(0, math.ceil(banned - now)), math.ceil(rest), limit, math.floor(tokens * 1000)
}
"""
SHA: Final = sha1(LUA.encode()).hexdigest()  # noqa: S324 - Redis names scripts so


@dataclass(frozen=True, slots=True)
class Reply:
    """What the script answers; times are wall seconds.

    Attributes:
        granted: requests that may be sent.
        wait_s: how long until there may be one, where none was granted.
        banned_for_s: how long the circuit stays open.
        rests_for_s: how long the endpoint takes no more.
        limit: of the endpoint as the venue last told any process; 0 for none.
        level: tokens left in the address's bucket.
    """

    granted: int
    wait_s: float
    banned_for_s: float
    rests_for_s: float
    limit: int
    level: float

    @classmethod
    def read(cls, raw: list[int]) -> Reply:
        """Read what Redis gave."""
        granted, wait, banned, rest, limit, level = raw
        return cls(granted, wait / _MICRO, banned / _MICRO, rest / _MICRO, limit, level / 1_000)


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of the script.

    Attributes:
        address: the fleet's part of the address's limit, in wall seconds.
        kept: the part of its bucket that is left to others.
        want: requests; 0 only tells.
        endpoint: its path without `/v5/`; the address's bucket alone when it is empty.
        endpoint_share: the fleet's part of an endpoint's limit.
        rate: market seconds per wall second.
        ban_s: opens the circuit for so long.
        limit: of the endpoint, as the venue has just said; 0 for nothing new.
        pause_s: for which it takes no more.
    """

    address: Allowance
    kept: float
    want: int
    endpoint: str
    endpoint_share: float
    rate: float
    ban_s: float = 0.0
    limit: int = 0
    pause_s: float = 0.0

    def arguments(self) -> tuple[Any, ...]:
        """Give the script's arguments."""
        capacity = self.address.capacity
        return (
            self.want,
            _text(capacity * self.kept),
            _text(self.ban_s * _MICRO),
            _text(capacity),
            _text(self.address.rate / _MICRO),
            self.endpoint,
            self.limit,
            _text(self.pause_s * _MICRO),
            _text(self.endpoint_share),
            _text(ENDPOINT_WINDOW_S / self.rate * _MICRO),
            _text(BURST),
            _text(LEAST_REFILL),
            KEPT_MS,
        )


def _text(value: float) -> str:
    return format(value, ".12f")
