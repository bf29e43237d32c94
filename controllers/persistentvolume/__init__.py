"""The persistent volume binder: claims and volumes find each other, and volumes are reclaimed once released."""
