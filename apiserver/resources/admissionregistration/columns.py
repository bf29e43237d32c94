"""The Table columns of admissionregistration.k8s.io, named and described as every client has come to show them.

Follows: pkg/printers/internalversion/printers.go AddHandlers
"""

from __future__ import annotations

from apiserver.resources.strategy import AGE_COLUMN, NAME_COLUMN, Column

Columns = tuple[Column, ...]

WEBHOOKS: Columns = (
    NAME_COLUMN,
    Column("Webhooks", "integer", "Webhooks indicates the number of webhooks registered in this configuration"),
    AGE_COLUMN,
)

VALIDATING_POLICY: Columns = (
    NAME_COLUMN,
    Column(
        "Validations",
        "integer",
        "Validations indicates the number of validation rules defined in this configuration",
    ),
    Column("ParamKind", "string", "ParamKind specifies the kind of resources used to parameterize this policy"),
    AGE_COLUMN,
)

MUTATING_POLICY: Columns = (
    NAME_COLUMN,
    Column("Mutations", "integer", "Mutation indicates the number of mutations rules defined in this configuration"),
    Column("ParamKind", "string", "ParamKind specifies the kind of resources used to parameterize this policy"),
    AGE_COLUMN,
)

POLICY_BINDING: Columns = (
    NAME_COLUMN,
    Column("PolicyName", "string", "PolicyName indicates the policy definition which the policy binding binded to"),
    Column("ParamRef", "string", "ParamRef indicates the param resource which sets the configuration param"),
    AGE_COLUMN,
)
