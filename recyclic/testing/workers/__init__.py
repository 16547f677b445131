"""Worker processes of a test: `@pytest.mark.workers(3)`. They consume; the test's own process serves HTTP and emits."""
