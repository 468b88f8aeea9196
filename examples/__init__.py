"Programs that use the package; run them from the checkout."
