"""The attach/detach controller: volumes of CSI drivers are attached to the nodes whose pods need them."""
