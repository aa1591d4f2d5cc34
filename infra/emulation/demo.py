"""`make demo-aws`: synthesises the stack, deploys it to the emulator, plays the demo's story through its API, and cleans up."""

import sys

from counterfoil.entrypoints.commands.demo import played, print_table
from infra.emulation import deployment, emulator
from infra.emulation.deployment import deployed


def main() -> int:
    """0 when every verdict is the expected one."""
    reason = emulator.missing() or deployment.missing()
    if reason is not None:
        print(reason, file=sys.stderr)
        return 2
    print("Synthesising the stack and deploying it to the emulator ...", file=sys.stderr)
    with deployed() as stack:
        scenes = played({"url": stack.url, "issuer": stack.token("issuer"), "validator": stack.token("validator")})
    print_table(scenes)
    return 0 if all(scene.is_expected for scene in scenes) else 1


if __name__ == "__main__":
    sys.exit(main())
