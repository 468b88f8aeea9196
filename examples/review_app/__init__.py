"Review a document clause by clause:  python -m examples.review_app"
