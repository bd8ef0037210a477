"""Check that the package and its classifier satisfy the contract of FEDn and the library."""

from fednkit.testing import Check, classifier_checks, package_checks, parametrize_with_checks
from model.classifier import Classifier


@parametrize_with_checks(classifier_checks(Classifier))
def test_classifier(check: Check) -> None:
    check()


@parametrize_with_checks(package_checks())
def test_package(check: Check) -> None:
    check()
