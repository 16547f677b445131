"""The rules of the module contract, one file a family. A file here is loaded by being here."""
