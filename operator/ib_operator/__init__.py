"""The operator: login state as Kubernetes sees it, and a lost brokerage session opened again within a budget."""
