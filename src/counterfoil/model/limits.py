"""Every bound of the protocol, with its unit in the name. It decides nothing."""

MICROSECONDS_PER_S = 1_000_000

CLIENT_ID_CHARS_MAX = 128
CONTEXT_PAIRS_MAX = 16
CONTEXT_NAME_CHARS_MAX = 64
CONTEXT_VALUE_CHARS_MAX = 512
REDEMPTION_ID_CHARS_MAX = 128

BODY_BYTES_MAX = 64 * 1024
JSON_DEPTH_MAX = 32

LIFETIME_S_MIN = 1
# NIST SP 800-63B-4 (3.1.3.2) and ASVS 5.0 (6.5.5): an out-of-band secret lives ten minutes at most.
LIFETIME_S_MAX = 600
LIFETIME_S_DEFAULT = 60

# PSD2 RTS 4(3)(b): blocked after no more than five failed attempts.
ATTEMPTS_MAX = 5

RETENTION_S_DEFAULT = 3600
JOURNAL_RETENTION_S_DEFAULT = 90 * 24 * 3600
# A passcode stamped further ahead of the deciding clock than this says that one of two clocks is wrong.
CLOCK_TOLERANCE_US = 5 * MICROSECONDS_PER_S

SEALED_CONTEXT_CHARS_MAX = 1024
SEALED_CONTEXT_LIFETIME_S_DEFAULT = 24 * 3600
SEALED_CONTEXT_LIFETIME_S_MAX = 30 * 24 * 3600

OTP_BYTES = 16
SALT_BYTES = 16
KEY_ID_BYTES = 4
DATA_KEY_BYTES = 32
# AES-GCM authentication tag, NIST SP 800-38D: full length.
SEAL_TAG_BYTES = 16
