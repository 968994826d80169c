"""Every number that the paper claims, with its interval and its band."""
