"""`python -m ser_keras` is the command `ser`."""

from ser_keras.cli.app import main

main()
