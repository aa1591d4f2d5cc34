"""What is handed out: wheel, sdist, manual page, completion, container file, unit, manifests, and the page about them."""
