/** The entry of the command line: loads the commands and runs one. */
export {};
