-- wrk makes one request again and again: a template with a client, a secret and an id put in, all of fixed width, so that
-- Content-Length stays true.
--
--   wrk ... -s load.lua URL -- TEMPLATE RUN CLIENTS SECRETS AGAIN KEPT CLIENT_PATTERN SECRET_PATTERN
--
-- SECRETS is a file of lines "CLIENT SECRET", one for each request (over and over with AGAIN = yes); KEPT is where those of
-- the answers go. "-" for no file.

local parts, makers = {}, {}
local lines, again, taken, run, clients
local kept

local function whole(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function split(template)
  local from = 1
  for before, name, after in template:gmatch("()@(%u+)@()") do
    parts[#parts + 1] = template:sub(from, before - 1)
    makers[#makers + 1] = name
    from = after
  end
  parts[#parts + 1] = template:sub(from)
end

function init(args)
  split(whole(args[1]))
  run, clients, taken = args[2], tonumber(args[3]), 0
  if args[4] ~= "-" then
    lines = {}
    for line in io.lines(args[4]) do lines[#lines + 1] = line end
    again = args[5] == "yes"
  end
  if args[6] ~= "-" then
    kept = assert(io.open(args[6], "ab"))
    local of_client, of_secret = args[7], args[8]
    function response(status, headers, body)
      if status < 300 then
        kept:write(body:match(of_client) or "c0000", " ", body:match(of_secret) or "", "\n")
      end
    end
  end
end

function request()
  taken = taken + 1
  local values = { ID = string.format("%s%010d", run, taken) }
  if lines then
    local line = lines[again and taken % #lines + 1 or taken]
    -- Wrong on purpose: the answer makes the figure invalid.
    if not line then return "GET /secrets-ran-out HTTP/1.1\r\nHost: bench\r\n\r\n" end
    values.CLIENT, values.SECRET = line:match("^(%S+) (%S+)$")
  else
    values.CLIENT = string.format("c%04d", taken % clients)
  end
  local words = { parts[1] }
  for at = 1, #makers do
    words[#words + 1] = values[makers[at]]
    words[#words + 1] = parts[at + 1]
  end
  return table.concat(words)
end
