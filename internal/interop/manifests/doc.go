// Package manifests has the tests of configs/kubernetes and of the Compose files: kustomize and
// Compose's own loader read them, every object is decoded into Kubernetes' types, and an unknown
// field is a failure. Other tests check what the files mean, with the real binary where it matters.
//
// It is a module of its own, so that building Signet downloads nothing of Kubernetes.
package manifests
