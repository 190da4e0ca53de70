-- SPDX-License-Identifier: MIT

-- A script for wrk: sends requests at a given rate, whatever the answers are, and prints how long the clients waited
-- for the answers of each status. Use one connection for each thread, so that an answer always belongs to the thread's
-- latest request.
--
-- wrk -t 128 -c 128 -d 20s -s load.lua http://127.0.0.1:8080/work -- 1600 128

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } flowguard_timespec;
  int clock_gettime(int clock, flowguard_timespec* time);
]]
local time = ffi.new("flowguard_timespec")

local function now() -- in ms
  ffi.C.clock_gettime(1, time)
  return tonumber(time.seconds) * 1e3 + tonumber(time.nanoseconds) * 1e-6
end

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(arguments)
  math.randomseed(number + 1)
  local rate = tonumber(arguments[1])
  local connections = tonumber(arguments[2])
  gap = 1e3 * connections / rate -- between requests of one connection, on average
  due = now() + math.random() * gap
  answered, rejected, other = {}, {}, 0
end

-- Requests are due at random times that do not depend on the answers. A thread that had to wait sends overdue requests
-- at once.
function delay()
  due = due - math.log(1 - math.random()) * gap
  return math.max(0, due - now())
end

function request()
  sent = now()
  return wrk.format()
end

function response(status)
  local waited = now() - sent
  if status == 200 then
    table.insert(answered, waited)
  elseif status == 503 then
    table.insert(rejected, waited)
  else
    other = other + 1
  end
end

local function quantile(sorted, q)
  return sorted[math.max(1, math.ceil(q * #sorted))] or 0
end

local function tell(name, all, seconds)
  table.sort(all)
  print(string.format("%s: %.1f/s, p50 %.2f ms, p99 %.2f ms, most %.2f ms", name, #all / seconds, quantile(all, 0.5),
    quantile(all, 0.99), all[#all] or 0))
end

function done(summary)
  local seconds = summary.duration * 1e-6
  local all = {answered = {}, rejected = {}}
  local others = 0
  for _, thread in ipairs(threads) do
    for name, waits in pairs(all) do
      for _, wait in ipairs(thread:get(name)) do
        table.insert(waits, wait)
      end
    end
    others = others + thread:get("other")
  end
  local errors = summary.errors
  tell("status 200", all.answered, seconds)
  tell("status 503", all.rejected, seconds)
  print(string.format("others: %d", others))
  print(string.format("errors: %d", errors.connect + errors.read + errors.write + errors.timeout))
end
