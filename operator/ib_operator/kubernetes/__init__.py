"""Objects, requests and bodies of the Kubernetes API."""
