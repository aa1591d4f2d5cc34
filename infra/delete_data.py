"""`make destroy DELETE_DATA=yes`: after the stack, its tables, and its key at the end of KMS's waiting period. There is no way back.

python -m infra.delete_data OUTPUTS.json [ENDPOINT]
"""

import json
import sys
from pathlib import Path

import botocore.session

KEY_WAITING_DAYS = 7


def delete_data(outputs: dict[str, str], endpoint: str | None = None) -> None:
    """Takes away what the stack retains: both tables at once, the key in a week. A passcode is worth nothing from then on."""
    region = outputs["KeyArn"].split(":")[3]
    session = botocore.session.get_session()
    dynamodb = session.create_client("dynamodb", region_name=region, endpoint_url=endpoint)
    for table in (outputs["CounterfoilsTable"], outputs["KeysTable"]):
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=table)
    kms = session.create_client("kms", region_name=region, endpoint_url=endpoint)
    kms.schedule_key_deletion(KeyId=outputs["KeyArn"], PendingWindowInDays=KEY_WAITING_DAYS)


if __name__ == "__main__":
    # As `cdk deploy --outputs-file` writes them: the outputs of one stack, under its name.
    (stack_outputs,) = json.loads(Path(sys.argv[1]).read_text()).values()
    delete_data(stack_outputs, sys.argv[2] if len(sys.argv) > 2 else None)
    print(f"deleted the tables; the key goes in {KEY_WAITING_DAYS} days, until when its deletion can be cancelled")
