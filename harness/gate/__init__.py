"""`harness gate`: what a pull request adds, judged without a GPU, by the rules of its base."""
