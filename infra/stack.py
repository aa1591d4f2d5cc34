"""The stack: an HTTP API that lets nobody in unverified, three functions with the rights of their routes, two tables, one key.

What keeps data (tables, key) is retained when the stack goes.
"""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as functions
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

PRINCIPALS_FILE = "principals.json"
V1_ROUTES = {
    "issue": [("POST", "/v1/passcodes")],
    "validate": [("POST", "/v1/passcodes/validate")],
    "operate": [("POST", "/v1/passcodes/revoke"), ("POST", "/v1/contexts/seal")],
}
SEED_ROUTES = {
    "issue": [("GET", "/generateOtp"), ("POST", "/generateOtp")],
    "validate": [("GET", "/validateOtp")],
    "operate": [("DELETE", "/invalidateOtp")],
}
COUNTERFOIL_RIGHTS = {
    "issue": ["dynamodb:PutItem"],
    "validate": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
    "operate": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
}
KEY_TABLE_RIGHTS = {
    "issue": ["dynamodb:GetItem", "dynamodb:PutItem"],
    "validate": ["dynamodb:GetItem"],
    "operate": ["dynamodb:GetItem"],
}
DATA_KEY, OWN_KEY = "data-key", "passcode"


def kms_rights(*, strict: bool) -> dict[str, dict[str, list[str]]]:
    """What each function asks of KMS, and for which purposes.

    Issuing unwraps what another instance made. Validating opens passcodes' own keys also when strict mode is off: those issued
    before it was switched off are still on their way.
    """
    return {
        "issue": {"kms:Decrypt": [DATA_KEY], "kms:GenerateDataKey": [DATA_KEY, OWN_KEY] if strict else [DATA_KEY]},
        "validate": {"kms:Decrypt": [DATA_KEY, OWN_KEY]},
        "operate": {"kms:Decrypt": [DATA_KEY]},
    }


_ACCESS_LOG = ("requestId", "identity.sourceIp", "requestTime", "httpMethod", "routeKey", "status", "responseLatency")


@jsii.implements(gateway.IAccessLogSettings)
class AccessLog:
    """What API Gateway logs of a request. Route keys and not paths: a query string has names in it."""

    def __init__(self, group: logs.LogGroup) -> None:
        self._destination = gateway.LogGroupLogDestination(group)
        fields = {name.rpartition(".")[2]: f"$context.{name}" for name in _ACCESS_LOG}
        self._format = apigateway.AccessLogFormat.custom(json.dumps(fields))

    @property
    def destination(self) -> gateway.LogGroupLogDestination:
        return self._destination

    @property
    def format(self) -> apigateway.AccessLogFormat:
        return self._format


class CounterfoilStack(cdk.Stack):
    """One deployment of Counterfoil."""

    def __init__(self, scope: Construct, name: str, *, settings: dict[str, Any], package: Path, **rest: Any) -> None:
        super().__init__(scope, name, **rest)
        self._settings = settings
        self._deployment = settings["deployment"]
        self._key = self._managed_key()
        self._counterfoils = self._table("Counterfoils", dynamodb.AttributeType.BINARY)
        self._keys = self._table("Keys", dynamodb.AttributeType.STRING)
        code = functions.Code.from_asset(str(package))
        self._functions = {role: self._function(role, code) for role in V1_ROUTES}
        api = self._api()
        self._watch(api)
        cdk.CfnOutput(self, "Url", value=api.api_endpoint, description="Where to send requests")
        cdk.CfnOutput(self, "CounterfoilsTable", value=self._counterfoils.table_name)
        cdk.CfnOutput(self, "KeysTable", value=self._keys.table_name)
        cdk.CfnOutput(self, "KeyArn", value=self._key.key_arn)
        cdk.CfnOutput(self, "TryIt", value=_curl(api.api_endpoint), description="Issues a passcode; put a token in TOKEN")

    def _managed_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            description=f"Counterfoil {self._deployment['stage']}: wraps data keys",
            enable_key_rotation=True,
            rotation_period=cdk.Duration.days(365),
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        # Nobody uses the key for another stage or epoch, whatever their own rights say.
        for field, value in self._key_context().items():
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=f"OnlyThis{field.capitalize()}",
                    effect=iam.Effect.DENY,
                    principals=[iam.AnyPrincipal()],
                    # Whatever takes an encryption context, so that none is a way around the others.
                    actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                    resources=["*"],
                    conditions={"StringNotEquals": {f"kms:EncryptionContext:counterfoil:{field}": value}},
                )
            )
        return key

    def _key_context(self) -> dict[str, str]:
        return {"stage": self._deployment["stage"], "epoch": str(self._deployment["epoch"])}

    def _table(self, name: str, key: dynamodb.AttributeType) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            name,
            partition_key=dynamodb.Attribute(name="pk", type=key),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="ttl",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True),
            deletion_protection=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )

    def _function(self, role: str, code: functions.Code) -> functions.Function:
        title = role.capitalize()
        group = self._log_group(f"{title}Logs")
        execution = iam.Role(self, f"{title}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self._allow(execution, ["logs:CreateLogStream", "logs:PutLogEvents"], group.log_group_arn)
        self._allow(execution, COUNTERFOIL_RIGHTS[role], self._counterfoils.table_arn)
        self._allow(execution, KEY_TABLE_RIGHTS[role], self._keys.table_arn)
        for action, purposes in kms_rights(strict=self._settings["keys"]["strict"])[role].items():
            self._allow(execution, [action], self._key.key_arn, self._key_conditions(purposes))
        return functions.Function(
            self,
            title,
            description=f"Counterfoil {self._deployment['stage']}: {role}",
            runtime=functions.Runtime(self._deployment["runtime"], functions.RuntimeFamily.PYTHON),
            architecture=functions.Architecture.custom(self._deployment["architecture"]),
            handler=f"counterfoil.entrypoints.aws_lambda.{role}",
            code=code,
            role=execution,
            memory_size=self._deployment["memory_mb"],
            # Above a request's own deadline of 9 s, so that the caller hears our 503.
            timeout=cdk.Duration.seconds(15),
            log_group=group,
            environment=self._environment(),
        )

    def _key_conditions(self, purposes: list[str]) -> dict[str, Any]:
        exactly = {f"kms:EncryptionContext:counterfoil:{name}": value for name, value in self._key_context().items()}
        return {"StringEquals": {**exactly, "kms:EncryptionContext:counterfoil:purpose": purposes}}

    def _allow(self, role: iam.Role, allowed: list[str], resource: str, conditions: dict[str, Any] | None = None) -> None:
        role.add_to_policy(iam.PolicyStatement(actions=allowed, resources=[resource], conditions=conditions))

    def _environment(self) -> dict[str, str]:
        passcodes, keys = self._settings["passcodes"], self._settings["keys"]
        context = passcodes["service_context"]
        values = {
            "AUTHORIZER": self._settings["authorizer"]["kind"],
            # In the package, since all variables together have 4 KB.
            "PRINCIPALS": f"@{PRINCIPALS_FILE}",
            "STORE": f"dynamodb://{self._counterfoils.table_name}?region={self.region}",
            "KEYS": f"aws-kms:{self._key.key_arn}?table={self._keys.table_name}",
            "STAGE": self._deployment["stage"],
            "EPOCH": str(self._deployment["epoch"]),
            "STRICT_KEYS": "true" if keys["strict"] else "false",
            "KEY_REUSE_S": str(keys["reuse_s"]),
            "KEY_REUSE_MAX": str(keys["reuse_max"]),
            "LIFETIME_DEFAULT_S": str(passcodes["lifetime_default_s"]),
            "LIFETIME_MAX_S": str(passcodes["lifetime_max_s"]),
            "RETENTION_S": str(passcodes["retention_s"]),
            "SERVICE_CONTEXT": json.dumps(context) if context else "",
            "SEED_ROUTES": "true" if self._deployment["seed_routes"] else "false",
            # Limits per client need a store on one machine; API Gateway throttles instead.
            "ISSUE_RATE_PER_S": "0",
            "OUTSTANDING_MAX": "0",
        }
        return {f"COUNTERFOIL_{name}": value for name, value in values.items()}

    def _api(self) -> gateway.HttpApi:
        api = gateway.HttpApi(self, "Api", api_name=self.stack_name, create_default_stage=False)
        limits = self._settings["limits"]
        gateway.HttpStage(
            self,
            "Stage",
            http_api=api,
            stage_name="$default",
            auto_deploy=True,
            throttle=gateway.ThrottleSettings(rate_limit=limits["rate_per_s"], burst_limit=limits["burst"]),
            access_log_settings=AccessLog(self._log_group("AccessLogs")),
        )
        authorizer = self._authorizer()
        for role, function in self._functions.items():
            integration = integrations.HttpLambdaIntegration(f"{role.capitalize()}Integration", function)
            seed = SEED_ROUTES[role] if self._deployment["seed_routes"] else []
            for method, path in (*V1_ROUTES[role], *seed):
                api.add_routes(path=path, methods=[gateway.HttpMethod[method]], integration=integration, authorizer=authorizer)
        return api

    def _authorizer(self) -> gateway.IHttpRouteAuthorizer:
        chosen = self._settings["authorizer"]
        if chosen["kind"] == "iam":
            return authorizers.HttpIamAuthorizer()
        if chosen["kind"] == "jwt":
            return authorizers.HttpJwtAuthorizer("Jwt", chosen["issuer"], jwt_audience=chosen["audience"])
        raise ValueError('authorizer.kind must be "jwt" or "iam": the deployment is never open')

    def _log_group(self, name: str) -> logs.LogGroup:
        return logs.LogGroup(self, name, retention=logs.RetentionDays.THREE_MONTHS, removal_policy=cdk.RemovalPolicy.RETAIN)

    def _watch(self, api: gateway.HttpApi) -> None:
        minute = cdk.Duration.minutes(1)
        watched = {
            **{
                f"{role.capitalize()}Errors": (function.metric_errors(period=minute), 1)
                for role, function in self._functions.items()
            },
            "ServerErrors": (api.metric_server_error(period=minute, statistic="Sum"), 5),
            **{
                f"{table}{operation}Throttled": (self._throttled(named, operation), 1)
                for table, named in (("Counterfoils", self._counterfoils), ("Keys", self._keys))
                for operation in ("GetItem", "PutItem", *(["UpdateItem"] if table == "Counterfoils" else []))
            },
            "TransactionMismatches": (self._refusals("transaction_mismatch"), 20),
            "AlreadyRedeemed": (self._refusals("already_redeemed"), 100),
            "UnknownPasscodes": (self._refusals("unknown_passcode"), 100),
        }
        for name, (metric, threshold) in watched.items():
            alarm = cloudwatch.Alarm(
                self,
                f"{name}Alarm",
                metric=metric,
                threshold=threshold,
                evaluation_periods=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            topic = self._settings["alarms"]["topic_arn"]
            if topic:
                alarm.add_alarm_action(actions.SnsAction(sns.Topic.from_topic_arn(self, f"{name}Topic", topic)))
        dashboard = cloudwatch.Dashboard(self, "Dashboard")
        dashboard.add_widgets(
            cloudwatch.GraphWidget(title="Requests", left=[self._requests(path) for _, path in _paths(V1_ROUTES)]),
            cloudwatch.GraphWidget(
                title="Refusals",
                left=[
                    self._refusals(reason)
                    for reason in (
                        "already_redeemed",
                        "expired",
                        "transaction_mismatch",
                        "context_mismatch",
                        "unknown_passcode",
                    )
                ],
            ),
            cloudwatch.GraphWidget(
                title="Latency (p99)",
                left=[function.metric_duration(statistic="p99", period=minute) for function in self._functions.values()],
            ),
            cloudwatch.GraphWidget(title="Faults", left=[metric for metric, _ in watched.values()]),
        )

    def _throttled(self, table: dynamodb.Table, operation: str) -> cloudwatch.Metric:
        return table.metric_throttled_requests_for_operation(operation, period=cdk.Duration.minutes(1))

    def _requests(self, path: str) -> cloudwatch.Metric:
        return self._own_metric(route=path)

    def _refusals(self, reason: str) -> cloudwatch.Metric:
        return self._own_metric(reason=reason)

    def _own_metric(self, **dimension: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="Counterfoil",
            metric_name="requests",
            statistic="Sum",
            period=cdk.Duration.minutes(1),
            dimensions_map={"stage": self._deployment["stage"], **dimension},
        )


def _paths(routes: dict[str, list[tuple[str, str]]]) -> list[tuple[str, str]]:
    return [route for of_role in routes.values() for route in of_role]


def _curl(url: str) -> str:
    return (
        f'curl -X POST {url}/v1/passcodes -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'
        ' -d \'{"client_id": "1234", "transaction": {"amount": "10.00", "payee": "Anna"}}\''
    )
