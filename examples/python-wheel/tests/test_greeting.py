import unittest

import greeting


class Greeting(unittest.TestCase):
    def test_languages(self):
        self.assertEqual(greeting.greet("you"), "hello, you")
        self.assertEqual(greeting.greet("du", "de"), "hallo, du")
        with self.assertRaises(KeyError):
            greeting.greet("du", "xx")


if __name__ == "__main__":
    unittest.main()
