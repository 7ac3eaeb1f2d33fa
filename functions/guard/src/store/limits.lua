-- What many machines count together, in one Redis: takes of a request from all its limits, or from none; and what comes after.
--
-- Written for Redis 5 and later, and what speaks its language. All numbers are whole and below 2^53, where Lua's are exact: so
-- times are seconds and nanoseconds apart, and are subtracted before they are added up.
--
-- KEYS: for each operation the key, and the one that is counted by where there is no room for it; the same once more for none.
-- ARGV: the time, seconds and nanoseconds, in tests; two empty strings have Redis's own clock. Then for each operation FIELDS.
-- Operations are all takes, or none of them is. Answers five numbers for each take: 1 (admitted), 0 (refused) or -1 (cannot be counted); what remains; nanoseconds to wait, or
-- -1 for ever; a ticket; 1 where it is counted
-- with others. Those without an answer: give_back, charge, release, strike.

local FIELDS = 11
local SECOND = 1000000000
-- A bucket that was written by a clock this much ahead is corrected.
local CLOCK_SKEW = SECOND
-- In the place of a number of strikes: shut out.
local SHUT = 65535
-- The largest number that is counted to.
local MOST = 9007199254740992

local seconds, nanoseconds = tonumber(ARGV[1]), tonumber(ARGV[2])
-- How much longer than it says something an entry is kept. Time that a test sets goes by at its own pace.
local kept = 3600000
if not seconds then
  local time = redis.call('TIME')
  seconds, nanoseconds, kept = tonumber(time[1]), tonumber(time[2]) * 1000, 1000
end

local function operation(index)
  local first = 2 + (index - 1) * FIELDS
  local function number(field) return tonumber(ARGV[first + field]) end
  return {
    name = ARGV[first + 1], count = ARGV[first + 2], room = number(3), is_enforced = ARGV[first + 4] == '1',
    units = number(5), p = { number(6), number(7), number(8), number(9), number(10) }, ticket = number(11),
    own = KEYS[2 * index - 1], overflow = KEYS[2 * index],
  }
end

-- Four numbers, zero where there is nothing. What is not understood must not count as nothing.
local function read(text)
  if not text then return { 0, 0, 0, 0 } end
  local a, b, c, d = string.match(text, '^(%d+) (%d+) (%d+) (%d+)$')
  if not a then error('an entry of portcullis is not as it wrote it') end
  return { tonumber(a), tonumber(b), tonumber(c), tonumber(d) }
end

-- Kept until it says the same as nothing.
local function write(key, state, idle_in)
  local text = string.format('%.0f %.0f %.0f %.0f', state[1], state[2], state[3], state[4])
  redis.call('SET', key, text, 'PX', string.format('%.0f', math.max(math.ceil(idle_in * 1000), 0) + kept))
end

local counts = {}

-- A token bucket: when it will be full again. p: interval, capacity, and that with what it may owe, in nanoseconds.
counts.bucket = {}

local function from_now(state)
  return (state[1] - seconds) * SECOND + (state[2] - nanoseconds)
end

local function moment(from, beyond, by)
  local sum = beyond + by
  local whole = math.floor(sum / SECOND)
  local time = from + whole
  if time < 0 then return { 0, 0, 0, 0 } end
  return { time, sum - whole * SECOND, 0, 0 }
end

function counts.bucket.idle_in(state)
  return from_now(state) / SECOND
end

function counts.bucket.take(operation, state)
  local interval, capacity, longest = operation.p[1], operation.p[2], operation.p[3]
  local full_in = from_now(state)
  local is_ahead = full_in - longest > CLOCK_SKEW
  full_in = math.max(math.min(full_in, longest), 0)
  local price = interval * operation.units
  local after = full_in + price
  if after > capacity then
    local remaining = math.floor(math.max(capacity - full_in, 0) / interval)
    local wait = price <= capacity and after - capacity or -1
    return 0, remaining, wait, 0, is_ahead and moment(seconds, nanoseconds, full_in) or nil
  end
  local free = capacity - after
  local wait = free < interval and interval - free or 0
  return 1, math.floor(free / interval), wait, 0, moment(seconds, nanoseconds, after)
end

function counts.bucket.give_back(operation, state)
  return moment(state[1], state[2], -operation.p[1] * operation.units)
end

function counts.bucket.charge(operation, state)
  local longest = operation.p[3]
  local full_in = math.max(math.min(from_now(state), longest), 0)
  return moment(seconds, nanoseconds, math.min(full_in + operation.p[1] * operation.units, longest))
end

-- A quota: in which period, by its end, how much was used. p: how much, and the ends of the last period, of this one and of the next.
counts.quota = {}

local function period(operation)
  for index = 2, 4 do
    if operation.p[index] > seconds then return operation.p[index] end
  end
end

local function used(state)
  return state[1] > seconds and state[2] or 0
end

function counts.quota.idle_in(state)
  return state[1] - seconds
end

function counts.quota.take(operation, state)
  local amount, ends = operation.p[1], period(operation)
  if not ends then return -1, 0, -1, 0 end
  local left = math.max(amount - used(state), 0)
  local wait = operation.units <= amount and (ends - seconds) * SECOND - nanoseconds or -1
  if operation.units > left then return 0, left, wait, ends end
  return 1, left - operation.units, wait, ends, { ends, used(state) + operation.units, 0, 0 }
end

function counts.quota.give_back(operation, state)
  if state[1] ~= operation.ticket then return nil end
  return { state[1], math.max(state[2] - operation.units, 0), 0, 0 }
end

function counts.quota.charge(operation, state)
  local ends = period(operation)
  return ends and { ends, math.min(used(state) + operation.units, MOST), 0, 0 }
end

-- How many are under way: in which span of time, and how many places were taken in the one before and in this one. p: the most, and
-- how long a span is.
counts.concurrency = {}

local function places(operation, state)
  local span = math.floor(seconds / operation.p[2])
  local passed = span - state[1]
  if passed == 0 or passed == -1 then return { state[1], state[2], state[3], 0 } end
  if passed == 1 then return { span, state[3], 0, 0 } end
  if passed > 1 then return { span, 0, 0, 0 } end
  return { span, 0, state[2] + state[3], 0 }
end

function counts.concurrency.idle_in(state, operation)
  if state[2] + state[3] == 0 then return 0 end
  return (state[1] + 2) * operation.p[2] - seconds
end

function counts.concurrency.take(operation, state)
  local now = places(operation, state)
  local left = operation.p[1] - now[2] - now[3]
  if left < 1 then return 0, 0, 0, now[1] end
  now[3] = now[3] + 1
  return 1, left - 1, 0, now[1], now
end

function counts.concurrency.release(operation, state)
  local now = places(operation, state)
  if operation.ticket >= now[1] then
    now[3] = math.max(now[3] - 1, 0)
  elseif operation.ticket + 1 == now[1] then
    now[2] = math.max(now[2] - 1, 0)
  else
    return nil
  end
  return now
end

-- Who is shut out: since when strikes are counted, how many, how often it was shut out, when all is forgotten. p: how many strikes, in
-- how long; for how long the first time and at most; and when it is forgotten.
counts.penalty = {}

local function duration(operation, times)
  local doublings = math.min(math.max(times - 1, 0), 17)
  return math.min(operation.p[3] * 2 ^ doublings, operation.p[4])
end

local function shut_for(operation, state)
  local left = state[1] - seconds
  local is_shut = state[2] == SHUT and left > 0 and left <= duration(operation, state[3])
  return is_shut and left or nil
end

function counts.penalty.idle_in(state)
  return state[4] - seconds
end

function counts.penalty.take(operation, state)
  local left = shut_for(operation, state)
  if left then return 0, 0, left * SECOND, 0 end
  return 1, 0, 0, 0
end

function counts.penalty.strike(operation, state)
  local is_forgiven = state[4] <= seconds
  if not is_forgiven and shut_for(operation, state) then return nil end
  local since, strikes, times = state[1], state[2], state[3]
  if is_forgiven then since, strikes, times = 0, 0, 0 end
  if strikes == SHUT or seconds - since >= operation.p[2] or since > seconds then
    since, strikes = seconds, 0
  end
  strikes = strikes + 1
  if strikes < operation.p[1] then
    local forgotten = times == 0 and operation.p[2] or operation.p[5]
    return { since, strikes, times, seconds + forgotten }
  end
  times = math.min(times + 1, SHUT)
  since = seconds + duration(operation, times)
  return { since, SHUT, times, since + operation.p[5] }
end

local takes, later = {}, {}
for index = 1, #KEYS / 2 do
  local one = operation(index)
  table.insert(one.name == 'take' and takes or later, one)
end

local answers = {}
if #takes > 0 then
  local known = redis.call('MGET', unpack(KEYS))
  local keys = redis.call('DBSIZE')
  local all_hold = true
  for index, take in ipairs(takes) do
    local own, overflow = known[2 * index - 1], known[2 * index]
    take.is_own = own or keys < take.room
    local has_place = take.is_own or take.overflow ~= take.own
    take.place = has_place and (take.is_own and take.own or take.overflow) or nil
    local text = has_place and (take.is_own and own or overflow) or nil
    local admitted, remaining, wait, ticket, state = counts[take.count].take(take, read(text))
    take.admitted = admitted
    -- Where one refuses, those after it are not touched.
    take.state = all_hold and state or nil
    if admitted < 0 or (take.is_enforced and admitted == 0) then all_hold = false end
    for _, number in ipairs({ admitted, remaining, wait, ticket, take.is_own and 0 or 1 }) do
      table.insert(answers, number)
    end
  end
  for _, take in ipairs(takes) do
    local is_written = take.state and take.place and (all_hold or take.admitted == 0)
    if is_written then
      write(take.place, take.state, counts[take.count].idle_in(take.state, take))
    end
  end
end

for _, one in ipairs(later) do
  local text = redis.call('GET', one.own)
  local may_begin = one.name == 'charge' or (one.name == 'strike' and redis.call('DBSIZE') < one.room)
  if text or may_begin then
    local count = counts[one.count]
    local state = count[one.name](one, read(text))
    if state then write(one.own, state, count.idle_in(state, one)) end
  end
end

return answers
