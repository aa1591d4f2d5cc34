"""What `dev` prints to be opened and to be pasted: plain sh, curl and sed, in this order, any number of times."""

CONSOLE = """\
Open this in a browser, within a quarter of an hour (it lets you in once): change, copy, delay and steal a payment.

  {link}
"""
NO_CONSOLE = "The console {needs}\n"

LINES = """\
Counterfoil for DEVELOPMENT serves {url}
{where} Limits are off. Not for production. Ctrl-C ends it.

{console}
  issuer     {issuer}
  validator  {validator}
  operator   {operator}

Read and try the interface: {url}/docs
Test mode: POST {url}/dev/clock turns the clock; client ids such as refuse-expired force each refusal (docs/test-mode.md).

Paste these into another terminal:

export ISSUER={issuer} VALIDATOR={validator} OPERATOR={operator}

# 1. The client application asks for a passcode (201)
ISSUED=$(curl -s -w '  %{{http_code}}' -X POST {url}/v1/passcodes -H 'Authorization: Bearer {issuer}' -H 'Content-Type: application/json' \
-d '{{"client_id": "1234", "context": {{"device_id": "d-9"}}, "transaction": {{"amount": "10.00", "payee": "Anna"}}}}')
echo "$ISSUED"; PASSCODE=$(echo "$ISSUED" | sed -n 's/.*"passcode":"\\([^"]*\\)".*/\\1/p')
ID=first-$$-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')

# 2. The backend validates it (200)
curl -s -w '  %{{http_code}}\\n' -X POST {url}/v1/passcodes/validate -H 'Authorization: Bearer {validator}' -H "Idempotency-Key: $ID" \
-H 'Content-Type: application/json' \
-d '{{"client_id": "1234", "passcode": "'"$PASSCODE"'", "context": {{"device_id": "d-9"}}, \
"transaction": {{"amount": "10.00", "payee": "Anna"}}}}'

# 3. Somebody delivers it a second time, under another redemption id (409 already_redeemed)
curl -s -w '  %{{http_code}}\\n' -X POST {url}/v1/passcodes/validate -H 'Authorization: Bearer {validator}' -H "Idempotency-Key: again-$ID" \
-H 'Content-Type: application/json' \
-d '{{"client_id": "1234", "passcode": "'"$PASSCODE"'", "context": {{"device_id": "d-9"}}, \
"transaction": {{"amount": "10.00", "payee": "Anna"}}}}'

# 4. The backend lost the first answer and asks again with its own id (200, replayed)
curl -s -w '  %{{http_code}}\\n' -X POST {url}/v1/passcodes/validate -H 'Authorization: Bearer {validator}' -H "Idempotency-Key: $ID" \
-H 'Content-Type: application/json' \
-d '{{"client_id": "1234", "passcode": "'"$PASSCODE"'", "context": {{"device_id": "d-9"}}, \
"transaction": {{"amount": "10.00", "payee": "Anna"}}}}'

# 5. The reference sample's routes: generate and validate (200, 200), generate and invalidate (200, 200)
OTP=$(curl -s -w '  %{{http_code}}' '{url}/generateOtp?clientId=1234&deviceId=d-9' -H 'Authorization: Bearer {issuer}'); echo "$OTP"
TIMESTAMP=$(echo "$OTP" | sed -n 's/.*"timestamp":\\([0-9]*\\).*/\\1/p')
curl -s -w '  %{{http_code}}\\n' "{url}/validateOtp?clientId=1234&timestamp=$TIMESTAMP&deviceId=d-9" -H 'Authorization: Bearer {validator}'
OTP=$(curl -s -w '  %{{http_code}}' '{url}/generateOtp?clientId=1234' -H 'Authorization: Bearer {issuer}'); echo "$OTP"
TIMESTAMP=$(echo "$OTP" | sed -n 's/.*"timestamp":\\([0-9]*\\).*/\\1/p')
curl -s -w '  %{{http_code}}\\n' -X DELETE "{url}/invalidateOtp?clientId=1234&timestamp=$TIMESTAMP" -H 'Authorization: Bearer {validator}'
"""
