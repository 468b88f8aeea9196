"""What every store does, whatever its engine: one test for each rule that is not about files.

The stores of this package are tested on `:memory:`, on a file and on PostgreSQL. To test a store of your own, write a
function `open_store(name, **options)` that opens a store on the data called `name` (empty if the name is new) and
accepts the options of every store (`timeout`, `synchronous`, `max_undo_depth`, `max_undo_bytes`, `default`):

    pytest tests/conformance --store my_package.my_module:open_store

A test that fails names the rule that the store breaks. For an engine that can't hold NUL in ids, add `-k "not nul"`.
"""
