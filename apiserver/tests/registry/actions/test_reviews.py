"""Reviews are validated and answered as the API server decides, and nothing of them is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.auth.attributes import Attributes
from apiserver.auth.authenticator import Authenticator, TokenUser
from apiserver.auth.authorizer import Decision, RuleSet
from apiserver.registry.actions.access_reviews import (
    LocalSubjectAccessReviews,
    SelfSubjectAccessReviews,
    SelfSubjectRulesReviews,
    SubjectAccessReviews,
)
from apiserver.registry.actions.self_subject_review import SelfSubjectReviews
from apiserver.registry.actions.token_review import TokenReviews
from apiserver.resources.strategy import User, WriteContext
from apiserver.tests.conftest import Client
from openapi.meta.status import StatusError

ME = User("me", "u", ("g", "system:authenticated"), {"k": ("v",)})
CONTEXT = WriteContext(ME, datetime(2030, 1, 1, tzinfo=UTC), namespace="n")
NEITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


class Judge:
    """Allows `get`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Attributes] = []

    def authorize(self, attributes: Attributes) -> Decision:
        self.asked.append(attributes)
        return Decision(True, "because") if attributes.verb == "get" else Decision(False)

    def rules(self, user: User, namespace: str) -> RuleSet:
        return RuleSet([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}], [], False, ("a", "a", "b"))


def review(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"kind": "Review", "apiVersion": "authorization.k8s.io/v1", "metadata": metadata, "spec": spec}


PODS = {"verb": "get", "resource": "pods", "namespace": "n"}


async def test_my_own_access_is_judged_as_me() -> None:
    judge = Judge()
    answer = await SelfSubjectAccessReviews(judge).create(review({"resourceAttributes": PODS}), CONTEXT)
    assert answer["status"] == {"allowed": True, "reason": "because"}
    assert judge.asked == [Attributes(ME, "get", "", "*", "pods", "", "n")]
    path = {"path": "/x", "verb": "post"}
    answer = await SelfSubjectAccessReviews(judge).create(review({"nonResourceAttributes": path}), CONTEXT)
    assert answer["status"] == {"allowed": False}
    assert judge.asked[1] == Attributes(ME, "post", path="/x", is_resource=False)


async def test_another_users_access_is_judged_as_described() -> None:
    judge = Judge()
    spec = {"user": "you", "uid": "2", "groups": ["h"], "extra": {"a": ["b"]}, "resourceAttributes": PODS}
    await SubjectAccessReviews(judge).create(review(spec), CONTEXT)
    assert judge.asked[0].user == User("you", "2", ("h",), {"a": ("b",)})


async def test_a_local_review_is_about_its_namespace() -> None:
    answer = await LocalSubjectAccessReviews(Judge()).create(
        review({"user": "you", "resourceAttributes": PODS}), CONTEXT
    )
    assert answer["metadata"] == {"namespace": "n"}
    assert answer["status"]["allowed"]


BROKEN = [
    (SelfSubjectAccessReviews, {}, f"spec.resourceAttributes: Invalid value: null: {NEITHER}"),
    (
        SubjectAccessReviews,
        {},
        f"[spec.resourceAttributes: Invalid value: null: {NEITHER}, "
        'spec.user: Invalid value: "": at least one of user or group must be specified]',
    ),
    (
        SelfSubjectAccessReviews,
        {"resourceAttributes": PODS, "nonResourceAttributes": {"path": "/x"}},
        'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":""}: '
        "cannot be specified in combination with resourceAttributes",
    ),
    (
        LocalSubjectAccessReviews,
        {"user": "you", "resourceAttributes": {**PODS, "namespace": "other"}},
        'spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace',
    ),
    (
        LocalSubjectAccessReviews,
        {"user": "you", "nonResourceAttributes": {"path": "/x", "verb": "get"}},
        'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: disallowed on this kind of request',
    ),
    (
        SelfSubjectAccessReviews,
        {"resourceAttributes": {**PODS, "labelSelector": {}}},
        "spec.resourceAttributes.labelSelector.requirements: Required value: when "
        "spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required",
    ),
    (
        SelfSubjectAccessReviews,
        {"resourceAttributes": {**PODS, "fieldSelector": {"requirements": [{"key": "a", "operator": "In"}]}}},
        "spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when "
        "`operator` is 'In' or 'NotIn'",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "message"), BROKEN)
async def test_broken_reviews_are_refused(kind: Any, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as refused:
        await kind(Judge()).create(review(spec), CONTEXT)
    assert (refused.value.code, refused.value.message) == (422, f'.authorization.k8s.io "" is invalid: {message}')
    assert refused.value.details is not None and "kind" not in refused.value.details


async def test_a_review_has_no_metadata_of_its_own() -> None:
    with pytest.raises(StatusError, match="must be empty"):
        await SelfSubjectAccessReviews(Judge()).create(review({"resourceAttributes": PODS}, name="x"), CONTEXT)
    managed = review({"resourceAttributes": PODS}, managedFields=[{"manager": "m"}])
    assert (await SelfSubjectAccessReviews(Judge()).create(managed, CONTEXT))["status"]["allowed"]


async def test_what_the_system_sets_is_wiped_from_a_review(client: Client) -> None:
    path = "/apis/authorization.k8s.io/v1/namespaces/ns/localsubjectaccessreviews"
    spec = {"user": "u", "resourceAttributes": {**PODS, "namespace": "ns"}}
    sent = {"spec": spec, "metadata": {"namespace": "ns", "uid": "u", "creationTimestamp": "2030-01-01T00:00:00Z"}}
    made = await client.create(path, sent)
    assert set(made["metadata"]) <= {"namespace", "managedFields"}
    sent["metadata"] = {"namespace": "other"}
    refused = await client.ask("POST", path, sent)
    assert (refused.code, refused.json["reason"]) == (400, "BadRequest")
    why = "the namespace of the provided object does not match the namespace sent on the request"
    assert refused.json["message"] == why


SELECTORS = [
    ({"rawSelector": "a=b"}, "a=b", None),
    ({"rawSelector": "a in b"}, "", "spec.resourceAttributes.fieldSelector ignored due to parse error"),
    ({"requirements": [{"key": "a", "operator": "In", "values": ["b"]}]}, "a=b", None),
    (
        {
            "requirements": [
                {"key": "a", "operator": "NotIn", "values": ["b"]},
                {"key": "c", "operator": "In", "values": ["d", "e"]},
            ]
        },
        "a!=b",
        "spec.resourceAttributes.fieldSelector partially ignored due to parse error",
    ),
]


@pytest.mark.parametrize(("selector", "text", "problem"), SELECTORS)
async def test_selectors_are_part_of_the_question(selector: dict[str, Any], text: str, problem: str | None) -> None:
    judge = Judge()
    obj = review({"resourceAttributes": {**PODS, "fieldSelector": selector}})
    answer = await SelfSubjectAccessReviews(judge).create(obj, CONTEXT)
    assert judge.asked[0].field_selector == text
    assert answer["status"].get("evaluationError") == problem


async def test_my_rules_are_listed_for_a_namespace() -> None:
    answer = await SelfSubjectRulesReviews(Judge()).create(review({"namespace": "n"}, managedFields=[{}]), CONTEXT)
    assert (answer["metadata"], answer["spec"]) == ({}, {})
    assert answer["status"] == {
        "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
        "nonResourceRules": [],
        "incomplete": False,
        "evaluationError": "[a, b]",
    }
    with pytest.raises(StatusError, match="no namespace on request"):
        await SelfSubjectRulesReviews(Judge()).create(review({}), CONTEXT)


async def test_who_am_i() -> None:
    answer = await SelfSubjectReviews().create({"kind": "SelfSubjectReview", "apiVersion": "v1"}, CONTEXT)
    assert answer["metadata"] == {"creationTimestamp": "2030-01-01T00:00:00Z"}
    info = {"username": "me", "uid": "u", "groups": ["g", "system:authenticated"], "extra": {"k": ["v"]}}
    assert answer["status"] == {"userInfo": info}


class Tokens:
    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> TokenUser | None:
        return TokenUser(User("bob"), ("api",)) if token == "good" else None


async def test_a_token_is_reviewed_by_the_ways_in() -> None:
    reviews = TokenReviews(Authenticator([Tokens()]))
    answer = await reviews.create(review({"token": "good"}), CONTEXT)
    user = {"username": "bob", "groups": ["system:authenticated"]}
    assert answer["status"] == {"authenticated": True, "user": user, "audiences": ["api"]}
    answer = await reviews.create(review({"token": "bad"}), CONTEXT)
    assert answer["status"] == {"user": {}, "error": "invalid bearer token"}
    with pytest.raises(StatusError, match="token is required for TokenReview in authentication"):
        await reviews.create(review({}), CONTEXT)
