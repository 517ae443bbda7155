"""Telling the owner and Kubernetes."""
